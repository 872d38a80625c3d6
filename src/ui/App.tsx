import { Tabs, Tooltip } from 'radix-ui';
import { useEffect } from 'react';
import type { StudioStore } from '../store/createStudioStore.ts';
import { type Room, roomFromHash } from '../store/settings.ts';
import { Announcer } from './components/Announcer.tsx';
import { Toasts } from './components/Toasts.tsx';
import { useTheme } from './hooks/useTheme.ts';
import { EngineBanner } from './panels/EngineBanner.tsx';
import { ExportRoom } from './panels/export/ExportRoom.tsx';
import { GpuGate } from './panels/GpuGate.tsx';
import { ImagesRoom } from './panels/ImagesRoom.tsx';
import { ModelRoom } from './panels/ModelRoom.tsx';
import { TopBar } from './panels/TopBar.tsx';
import { TrainRoom } from './panels/TrainRoom.tsx';
import { TryRoom } from './panels/try/TryRoom.tsx';
import { ImportDialog } from './settings/ImportDialog.tsx';
import { StudioProvider, useStudio } from './StudioContext.tsx';

export function App({ store }: { readonly store: StudioStore }) {
  useEffect(() => {
    // The address may carry a recipe: it is read when it is known what is here.
    void store
      .getState()
      .studioOpened()
      .then(() => store.getState().addressRead());
    const followAddress = (): void => {
      if (location.hash.startsWith('#recipe=')) void store.getState().addressRead();
      else store.getState().roomOpened(roomFromHash(location.hash));
    };
    addEventListener('hashchange', followAddress);
    const keepRun = (): void => {
      if (document.visibilityState === 'hidden') store.getState().pageHidden();
    };
    addEventListener('pagehide', keepRun);
    document.addEventListener('visibilitychange', keepRun);
    return () => {
      removeEventListener('hashchange', followAddress);
      removeEventListener('pagehide', keepRun);
      document.removeEventListener('visibilitychange', keepRun);
    };
  }, [store]);
  return (
    <StudioProvider store={store}>
      <Tooltip.Provider delayDuration={250}>
        <Toasts>
          <Studio />
        </Toasts>
      </Tooltip.Provider>
    </StudioProvider>
  );
}

function Studio() {
  useTheme();
  const room = useStudio((state) => state.room);
  const roomOpened = useStudio((state) => state.roomOpened);
  const gated = useStudio((state) => state.gpu.status === 'unavailable' && !state.gpuGateDismissed);
  if (gated) return <GpuGate />;
  return (
    <Tabs.Root className="studio" value={room} onValueChange={(value) => roomOpened(value as Room)}>
      <TopBar />
      <EngineBanner />
      <Tabs.Content className="room" value="model">
        <ModelRoom />
      </Tabs.Content>
      <Tabs.Content className="room" value="images">
        <ImagesRoom />
      </Tabs.Content>
      <Tabs.Content className="room" value="train">
        <TrainRoom />
      </Tabs.Content>
      <Tabs.Content className="room" value="try">
        <TryRoom />
      </Tabs.Content>
      <Tabs.Content className="room" value="export">
        <ExportRoom />
      </Tabs.Content>
      <ImportDialog />
      <Announcer />
    </Tabs.Root>
  );
}
