import { Tabs, Tooltip } from 'radix-ui';
import { type ComponentType, lazy, Suspense, useEffect } from 'react';
import type { StudioStore } from '../store/createStudioStore.ts';
import { type Room, roomFromHash } from '../store/settings.ts';
import { Announcer } from './components/Announcer.tsx';
import { Toasts } from './components/Toasts.tsx';
import { useTheme } from './hooks/useTheme.ts';
import { EngineBanner } from './panels/EngineBanner.tsx';
import { GpuGate } from './panels/GpuGate.tsx';
import { TopBar } from './panels/TopBar.tsx';
import { StudioProvider, useStudio } from './StudioContext.tsx';

/** Each room is a file of its own, so that the first is there at once. The others follow as soon as the page is idle: see {@link fetchRooms}. */
const loadRoom: Readonly<Record<Room, () => Promise<{ readonly default: ComponentType }>>> = {
  model: () => import('./panels/ModelRoom.tsx').then(({ ModelRoom }) => ({ default: ModelRoom })),
  images: () => import('./panels/ImagesRoom.tsx').then(({ ImagesRoom }) => ({ default: ImagesRoom })),
  train: () => import('./panels/TrainRoom.tsx').then(({ TrainRoom }) => ({ default: TrainRoom })),
  try: () => import('./panels/try/TryRoom.tsx').then(({ TryRoom }) => ({ default: TryRoom })),
  export: () => import('./panels/export/ExportRoom.tsx').then(({ ExportRoom }) => ({ default: ExportRoom })),
};
const rooms = Object.entries(loadRoom).map(([name, load]) => ({ name, Room: lazy(load) }));
const ImportDialog = lazy(() =>
  import('./settings/ImportDialog.tsx').then((module) => ({ default: module.ImportDialog })),
);

/** So that no door waits for the network, and all works without one. */
function fetchRooms(): void {
  for (const load of Object.values(loadRoom)) void load();
}

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
  useEffect(() => {
    const idle = setTimeout(fetchRooms, 500);
    return () => clearTimeout(idle);
  }, []);
  if (gated) return <GpuGate />;
  return (
    <Tabs.Root className="studio" value={room} onValueChange={(value) => roomOpened(value as Room)}>
      <TopBar />
      <EngineBanner />
      {rooms.map(({ name, Room }) => (
        <Tabs.Content key={name} className="room" value={name}>
          <Suspense>
            <Room />
          </Suspense>
        </Tabs.Content>
      ))}
      <Suspense>
        <ImportDialog />
      </Suspense>
      <Announcer />
    </Tabs.Root>
  );
}
