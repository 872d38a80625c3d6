import { X } from 'lucide-react';
import { formatEta } from '../../../store/format.ts';
import { ProgressBar } from '../../components/ProgressBar.tsx';
import { useStudio } from '../../StudioContext.tsx';

/** How far the present work on a LoRA is; nothing while there is none. */
export function ToolProgress() {
  const job = useStudio((state) => state.toolJob);
  const cancelled = useStudio((state) => state.toolCancelled);
  if (job === null) return null;
  return (
    <div className="tool-progress">
      <span>{job.detail === '' ? `${job.title}…` : `${job.detail}…`}</span>
      <ProgressBar label={job.title} value={job.fraction} />
      <span className="adding-eta">{formatEta(job.etaSeconds)}</span>
      <button type="button" className="button button-small" onClick={cancelled}>
        <X size={14} aria-hidden="true" /> Cancel
      </button>
    </div>
  );
}
