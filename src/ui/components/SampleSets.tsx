import { AlertDialog } from 'radix-ui';
import { useEffect, useState } from 'react';
import { plural } from '../../store/format.ts';
import { type SampleSet, sampleUrl } from '../../store/samples.ts';
import { useStudio } from '../StudioContext.tsx';
import { ErrorNote } from './ErrorNote.tsx';

/** The first pictures of a set, side by side. */
export function SampleThumbs({ set, count }: { readonly set: SampleSet; readonly count: number }) {
  return (
    <span className="sample-thumbs" aria-hidden="true">
      {set.images.slice(0, count).map(({ file }) => (
        <img key={file} src={sampleUrl(file)} alt="" width={64} height={64} draggable={false} />
      ))}
    </span>
  );
}

/** Asks what becomes of the images that are there. No Radix overlay: it would inject a style element, which the CSP forbids. */
function AddOrReplace({ set, onClose }: { readonly set: SampleSet; readonly onClose: () => void }) {
  const count = useStudio((state) => state.images.length);
  const sampleSetChosen = useStudio((state) => state.sampleSetChosen);
  return (
    <AlertDialog.Root open onOpenChange={(open) => !open && onClose()}>
      <AlertDialog.Portal>
        <div className="backdrop" />
        <AlertDialog.Content className="dialog">
          <AlertDialog.Title className="dialog-title">Add “{set.title}” to your images?</AlertDialog.Title>
          <AlertDialog.Description className="dialog-detail">
            You have {plural(count, 'image')}. A LoRA learns best from one look at a time, so you may want to put them
            aside; Undo brings them back.
          </AlertDialog.Description>
          <div className="dialog-actions">
            <AlertDialog.Cancel className="button">Cancel</AlertDialog.Cancel>
            <AlertDialog.Action className="button" onClick={() => void sampleSetChosen(set.id, 'replace')}>
              Use it instead
            </AlertDialog.Action>
            <AlertDialog.Action className="button button-primary" onClick={() => void sampleSetChosen(set.id, 'add')}>
              Add to mine
            </AlertDialog.Action>
          </div>
        </AlertDialog.Content>
      </AlertDialog.Portal>
    </AlertDialog.Root>
  );
}

/** The sample sets as cards, one click each. `compact`: as a narrow list. */
export function SampleSets({ compact = false }: { readonly compact?: boolean }) {
  const sets = useStudio((state) => state.sampleSets);
  const error = useStudio((state) => state.samplesError);
  const loading = useStudio((state) => state.sampleSetLoading);
  const busy = useStudio((state) => state.sampleSetLoading !== null || state.adding !== null);
  const hasImages = useStudio((state) => state.images.length > 0);
  const samplesNeeded = useStudio((state) => state.samplesNeeded);
  const sampleSetChosen = useStudio((state) => state.sampleSetChosen);
  const [asking, setAsking] = useState<SampleSet | null>(null);
  useEffect(() => void samplesNeeded(), [samplesNeeded]);
  if (error !== null) return <ErrorNote error={error} />;
  return (
    <>
      <ul className={compact ? 'samples samples-compact' : 'samples'} aria-label="Sample sets">
        {sets?.map((set) => (
          <li key={set.id}>
            <button
              type="button"
              className="sample"
              disabled={busy}
              onClick={() => (hasImages ? setAsking(set) : void sampleSetChosen(set.id, 'add'))}
            >
              <SampleThumbs set={set} count={compact ? 1 : 8} />
              <span className="sample-text">
                <strong>{set.title}</strong>
                <span>{loading === set.id ? 'Loading…' : set.description}</span>
                <span className="sample-count">
                  {plural(set.images.length, 'image')} · {set.preset}
                </span>
              </span>
            </button>
          </li>
        ))}
      </ul>
      {asking !== null && <AddOrReplace set={asking} onClose={() => setAsking(null)} />}
    </>
  );
}
