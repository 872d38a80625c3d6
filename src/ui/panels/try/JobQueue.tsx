import { ArrowDown, ArrowUp, X } from 'lucide-react';
import { useMemo } from 'react';
import { plural } from '../../../store/format.ts';
import { useStudio } from '../../StudioContext.tsx';

/** Jobs that wait, to be moved and taken out. Nothing while none does. */
export function JobQueue() {
  const queue = useStudio((state) => state.queue);
  const waiting = useMemo(() => queue.filter(({ state }) => state === 'waiting'), [queue]);
  const cancelled = useStudio((state) => state.jobCancelled);
  const moved = useStudio((state) => state.jobMoved);
  const cleared = useStudio((state) => state.queueCleared);
  if (waiting.length === 0) return null;
  return (
    <section className="queue" aria-label="Waiting">
      <div className="queue-head">
        <span>{plural(waiting.length, 'job waits', 'jobs wait')}</span>
        <button type="button" className="link" onClick={cleared}>
          Cancel all
        </button>
      </div>
      <ul>
        {waiting.map(({ jobId, prompt, pictureCount }, index) => (
          <li key={jobId}>
            <span className="queue-prompt" title={prompt}>
              {prompt === '' ? 'no prompt' : prompt}
              {pictureCount > 1 && ` (${pictureCount})`}
            </span>
            <button
              type="button"
              className="icon-button icon-button-small"
              aria-label={`Draw sooner: ${prompt}`}
              disabled={index === 0}
              onClick={() => void moved(jobId, index - 1)}
            >
              <ArrowUp size={13} aria-hidden="true" />
            </button>
            <button
              type="button"
              className="icon-button icon-button-small"
              aria-label={`Draw later: ${prompt}`}
              disabled={index === waiting.length - 1}
              onClick={() => void moved(jobId, index + 1)}
            >
              <ArrowDown size={13} aria-hidden="true" />
            </button>
            <button
              type="button"
              className="icon-button icon-button-small"
              aria-label={`Take out of the queue: ${prompt}`}
              onClick={() => cancelled(jobId)}
            >
              <X size={13} aria-hidden="true" />
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
