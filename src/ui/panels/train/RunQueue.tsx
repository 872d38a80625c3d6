import { ArrowDown, ArrowUp, Play, X } from 'lucide-react';
import { plural, shortModelName } from '../../../store/format.ts';
import { useStudio } from '../../StudioContext.tsx';

/** The runs that wait for their turn: what is next, in which order. */
export function RunQueue() {
  const queued = useStudio((state) => state.queuedRuns);
  const isTaken = useStudio((state) => state.isTraining || state.watchedRun !== null);
  const moved = useStudio((state) => state.queuedRunMoved);
  const removed = useStudio((state) => state.queuedRunRemoved);
  const started = useStudio((state) => state.queueStarted);
  if (queued.length === 0) return null;
  return (
    <section className="card run-queue" aria-label="Queue">
      <div className="card-head">
        <h3>Next in the queue</h3>
        <span className="toolbar-gap" />
        {!isTaken && (
          <button type="button" className="button button-small button-primary" onClick={() => void started()}>
            <Play size={13} fill="currentColor" aria-hidden="true" /> Start the queue
          </button>
        )}
      </div>
      <ol>
        {queued.map(({ id, request }, index) => (
          <li key={id}>
            <span className="queue-place">{index + 1}</span>
            <span className="queue-text">
              <strong>{request.name}</strong>
              <span>
                {plural(request.images.length, 'image')}, {plural(request.options.maxTrainSteps, 'step')} on{' '}
                {shortModelName(request.modelId)}, rate {request.options.learningRate.toExponential()}
              </span>
            </span>
            <button
              type="button"
              className="icon-button"
              aria-label={`Move ${request.name} up`}
              disabled={index === 0}
              onClick={() => void moved(id, index - 1)}
            >
              <ArrowUp size={14} aria-hidden="true" />
            </button>
            <button
              type="button"
              className="icon-button"
              aria-label={`Move ${request.name} down`}
              disabled={index === queued.length - 1}
              onClick={() => void moved(id, index + 1)}
            >
              <ArrowDown size={14} aria-hidden="true" />
            </button>
            <button
              type="button"
              className="icon-button"
              aria-label={`Take ${request.name} out of the queue`}
              onClick={() => void removed(id)}
            >
              <X size={14} aria-hidden="true" />
            </button>
          </li>
        ))}
      </ol>
    </section>
  );
}
