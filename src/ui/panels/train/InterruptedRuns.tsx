import { Play, Trash2, TriangleAlert } from 'lucide-react';
import { useShallow } from 'zustand/react/shallow';
import { useStudio } from '../../StudioContext.tsx';

/** Runs whose page was closed or died while they trained: each can be gone on with, or thrown away. */
export function InterruptedRuns() {
  const runs = useStudio(useShallow((state) => state.runs.filter((run) => run.state === 'interrupted')));
  const isTaken = useStudio((state) => state.isTraining || state.watchedRun !== null);
  const runResumed = useStudio((state) => state.runResumed);
  const runDeleted = useStudio((state) => state.runDeleted);
  if (isTaken || runs.length === 0) return null;
  return (
    <ul className="interrupted" aria-label="Interrupted runs">
      {runs.map((run) => (
        <li key={run.id} className="card notice notice-warn">
          <TriangleAlert size={18} aria-hidden="true" />
          <p>
            <strong>
              “{run.name}” was interrupted at step {run.globalStep} of {run.options.maxTrainSteps}.
            </strong>{' '}
            Resumed, it ends exactly as if it had never stopped.
          </p>
          <div className="run-controls">
            <button type="button" className="button" onClick={() => void runDeleted(run.id)}>
              <Trash2 size={14} aria-hidden="true" /> Discard
            </button>
            <button type="button" className="button button-primary" onClick={() => void runResumed(run.id)}>
              <Play size={14} fill="currentColor" aria-hidden="true" /> Resume
            </button>
          </div>
        </li>
      ))}
    </ul>
  );
}
