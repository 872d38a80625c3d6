import { Check, Download, X } from 'lucide-react';
import { useEffect } from 'react';
import { ErrorNote } from '../../components/ErrorNote.tsx';
import { ProgressBar } from '../../components/ProgressBar.tsx';
import { useStudio } from '../../StudioContext.tsx';

/** Offers TAESD's decoder where previews would be rough without it. A small model's own decoder needs none. */
export function PreviewDecoder() {
  const state = useStudio(({ previewDecoder }) => previewDecoder);
  const error = useStudio(({ previewDecoderError }) => previewDecoderError);
  const endpoint = useStudio((studio) => studio.endpoint);
  const isBuiltIn = useStudio(
    ({ models, selectedModelId }) => models.find(({ id }) => id === selectedModelId)?.isBuiltIn ?? true,
  );
  const needed = useStudio((studio) => studio.previewDecoderNeeded);
  const requested = useStudio((studio) => studio.previewDecoderRequested);
  const cancelled = useStudio((studio) => studio.previewDecoderCancelled);
  useEffect(() => void needed(), [needed]);
  if (isBuiltIn || state === 'unknown') return null;
  if (state === 'stored')
    return (
      <p className="field-hint">
        <Check size={13} aria-hidden="true" className="inline-icon" /> Previews are decoded by TAESD.
      </p>
    );
  return (
    <div className="stack-tight">
      <p className="field-hint">
        Previews are estimated from the latents’ colours. TAESD’s decoder (5 MB) makes them real pictures; fetching it
        contacts {endpoint}.
      </p>
      {state === 'missing' ? (
        <div>
          <button type="button" className="button button-small" onClick={() => void requested()}>
            <Download size={14} aria-hidden="true" /> Get TAESD
          </button>
        </div>
      ) : (
        <div className="tool-progress">
          <ProgressBar label="Fetching TAESD" value={null} />
          <button type="button" className="button button-small" onClick={cancelled}>
            <X size={14} aria-hidden="true" /> Cancel
          </button>
        </div>
      )}
      {error !== null && <ErrorNote error={error} />}
    </div>
  );
}
