import { formatBytes, formatEta } from '../../store/format.ts';
import { ProgressBar } from '../components/ProgressBar.tsx';
import { useStudio } from '../StudioContext.tsx';

/** How far the zip of a job is; nothing while none is written. */
export function JobProgress() {
  const job = useStudio((state) => state.exportingJob);
  const cancelled = useStudio((state) => state.jobExportCancelled);
  if (job === null) return null;
  const { done, total, etaSeconds } = job;
  return (
    <div className="job-progress">
      <span>
        {total === 0 ? 'Gathering the run…' : `Packing ${formatBytes(done)} of ${formatBytes(total)}`}
        {etaSeconds !== null && ` · ${formatEta(etaSeconds)}`}
      </span>
      <ProgressBar label="Packing" value={total === 0 ? null : done / total} />
      <button type="button" className="button button-small" onClick={cancelled}>
        Cancel
      </button>
    </div>
  );
}
