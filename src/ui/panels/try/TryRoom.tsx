import { Tabs } from 'radix-ui';
import { useEffect, useState } from 'react';
import type { TryView } from '../../../store/gallery.ts';
import { ErrorNote } from '../../components/ErrorNote.tsx';
import { TabSegments } from '../../components/TabSegments.tsx';
import { useStudio } from '../../StudioContext.tsx';
import { Gallery } from './Gallery.tsx';
import { GenerateFoot } from './GenerateFoot.tsx';
import { LoraShelf } from './LoraShelf.tsx';
import { MoreSettings } from './MoreSettings.tsx';
import { PictureSettings } from './PictureSettings.tsx';
import { PictureStage } from './PictureStage.tsx';
import { PlotStage } from './PlotStage.tsx';
import { PromptBox } from './PromptBox.tsx';
import { StartPicture } from './StartPicture.tsx';

/** Tells screen readers that drawing has begun and ended. Nothing here is seen. */
function DrawingAnnouncer() {
  const drawing = useStudio((state) => state.jobs.length > 0);
  const [drew, setDrew] = useState(false);
  if (drawing && !drew) setDrew(true);
  const text = drawing ? 'Drawing.' : drew ? 'Drawing has ended.' : '';
  return (
    <output className="visually-hidden" aria-live="polite">
      {text}
    </output>
  );
}

/** Where pictures are drawn: on the left what goes in, on the right what comes out. */
export function TryRoom() {
  const error = useStudio((state) => state.generateError);
  const view = useStudio((state) => state.tryView);
  const count = useStudio((state) => state.pictures.length);
  const viewOpened = useStudio((state) => state.tryViewOpened);
  const picturesRefreshed = useStudio((state) => state.picturesRefreshed);
  useEffect(() => void picturesRefreshed(), [picturesRefreshed]);
  return (
    <div className="workspace workspace-try">
      <h1 className="visually-hidden">Try</h1>
      <aside className="inspector" aria-label="Picture settings">
        <div className="inspector-scroll">
          <PromptBox />
          <LoraShelf />
          <PictureSettings />
          <section className="group group-disclosures" aria-label="More">
            <StartPicture />
            <MoreSettings />
          </section>
        </div>
        <GenerateFoot />
      </aside>
      <Tabs.Root className="stage stage-try" value={view} onValueChange={(next) => viewOpened(next as TryView)} asChild>
        <main aria-label="Picture">
          <TabSegments
            label="What is shown"
            className="stage-views"
            tabs={[
              ['picture', 'Picture'],
              ['gallery', <>Gallery {count > 0 && <span className="step-count">{count}</span>}</>],
              ['plot', 'X/Y/Z plot'],
            ]}
          />
          <DrawingAnnouncer />
          {error !== null && <ErrorNote error={error} />}
          <Tabs.Content value="picture" className="stage-view">
            <PictureStage />
          </Tabs.Content>
          <Tabs.Content value="gallery" className="stage-view">
            <Gallery />
          </Tabs.Content>
          <Tabs.Content value="plot" className="stage-view">
            <PlotStage />
          </Tabs.Content>
        </main>
      </Tabs.Root>
    </div>
  );
}
