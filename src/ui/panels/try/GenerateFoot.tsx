import { ListPlus, Square, Wand, X } from 'lucide-react';
import type { ReactNode } from 'react';
import { formatDuration, formatEta } from '../../../store/format.ts';
import { type DrawingJob, runningJob } from '../../../store/generate.ts';
import { generateFormErrors } from '../../../store/generateForm.ts';
import { sizesInUse } from '../../../store/modelDefaults.ts';
import { Hint } from '../../components/Info.tsx';
import { ProgressBar } from '../../components/ProgressBar.tsx';
import { useElapsed } from '../../hooks/useElapsed.ts';
import { useStudio } from '../../StudioContext.tsx';
import { JobQueue } from './JobQueue.tsx';

/** What a job is at, in words. */
function stateOf({ progress, status }: DrawingJob): string {
  if (progress === null) return status === null ? 'Getting ready…' : `${status}…`;
  const { step, numInferenceSteps, batch, batchCount, stage } = progress;
  const of = batchCount > 1 ? `Batch ${batch + 1} of ${batchCount}, step` : 'Step';
  return `${of} ${step} of ${numInferenceSteps}${stage === 'hires' ? ' (refining)' : ''}`;
}

function Running({ job, children }: { readonly job: DrawingJob; readonly children: ReactNode }) {
  const elapsed = useElapsed(job.startedAt);
  const cancelled = useStudio((state) => state.jobCancelled);
  const interrupted = useStudio((state) => state.jobInterrupted);
  const { progress, cancelling, jobId } = job;
  return (
    <>
      <div className="foot-progress">
        <span>{stateOf(job)}</span>
        <span>{progress === null ? (elapsed < 1 ? '' : formatDuration(elapsed)) : formatEta(progress.etaSeconds)}</span>
      </div>
      <ProgressBar label="Drawing" value={progress === null ? null : progress.fraction} />
      <div className="row foot-row">
        <button type="button" className="button" disabled={cancelling} onClick={() => cancelled(jobId)}>
          <X size={15} aria-hidden="true" /> {cancelling ? 'Cancelling…' : 'Cancel'}
        </button>
        <Hint text="End after this step and keep the picture as it is">
          <button
            type="button"
            className="button"
            disabled={cancelling || progress === null}
            onClick={() => interrupted(jobId)}
          >
            <Square size={12} fill="currentColor" aria-hidden="true" /> Stop here
          </button>
        </Hint>
        {children}
      </div>
    </>
  );
}

/** Generate, or how far it is and what waits. */
export function GenerateFoot() {
  const job = useStudio(runningJob);
  const hasModel = useStudio((state) => state.selectedModelId !== null);
  const valid = useStudio(
    (state) => Object.keys(generateFormErrors(state.generateForm, sizesInUse(state))).length === 0,
  );
  const isTraining = useStudio((state) => state.isTraining);
  const pressed = useStudio((state) => state.generatePressed);
  const count = useStudio(({ generateForm: { batchSize, batchCount } }) => Number(batchSize) * Number(batchCount));
  const disabled = !hasModel || !valid;
  return (
    <div className="inspector-foot">
      {!hasModel && <p className="foot-fact warn-text">Choose a model first.</p>}
      {hasModel && isTraining && (
        <p className="foot-fact">
          A run is training. Pictures are drawn between its steps, and its LoRA as it is then.
        </p>
      )}
      {hasModel && !valid && <p className="foot-fact warn-text">A setting needs another look: it is marked above.</p>}
      <JobQueue />
      {job === null ? (
        <button
          type="button"
          className="button button-primary button-large button-wide"
          disabled={disabled}
          onClick={pressed}
        >
          <Wand size={15} aria-hidden="true" /> Generate{count > 1 ? ` ${count}` : ''}
        </button>
      ) : (
        <Running job={job}>
          <Hint text="Draw this too when the present one is done">
            <button type="button" className="button" disabled={disabled} onClick={pressed}>
              <ListPlus size={15} aria-hidden="true" /> Queue
            </button>
          </Hint>
        </Running>
      )}
    </div>
  );
}
