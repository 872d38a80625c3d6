import { formatDate } from '../../store/format.ts';
import type { RunEvent } from '../../worker/protocol.ts';

const kinds: Readonly<Record<RunEvent['kind'], string>> = {
  started: 'Started',
  needs: 'Needs',
  resumed: 'Resumed',
  branched: 'Branched',
  paused: 'Paused',
  'rolled-back': 'Rolled back',
  'fell-back': 'Made cheaper',
  samples: 'Samples',
  warning: 'Look here',
  finished: 'Finished',
  stopped: 'Stopped',
  failed: 'Failed',
};

const serious: ReadonlySet<RunEvent['kind']> = new Set(['rolled-back', 'fell-back', 'warning', 'samples', 'failed']);

/** What happened to a run, the latest first. */
export function RunLog({ events }: { readonly events: readonly RunEvent[] }) {
  return (
    <section className="card" aria-label="Log">
      <div className="card-head">
        <h3>Log</h3>
      </div>
      <ol className="run-log">
        {events.toReversed().map(({ kind, at, globalStep, text }, i) => (
          <li key={i} className={serious.has(kind) ? 'run-log-serious' : undefined}>
            <span className="run-log-when">{formatDate(at)}</span>
            <span className="run-log-step">step {globalStep}</span>
            <span>
              <strong>{kinds[kind]}</strong> {text}
            </span>
          </li>
        ))}
      </ol>
    </section>
  );
}
