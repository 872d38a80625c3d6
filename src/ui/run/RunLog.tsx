import {
  Camera,
  CircleCheck,
  CircleStop,
  CircleX,
  Cpu,
  Gauge,
  GitBranch,
  type LucideIcon,
  MemoryStick,
  Pause,
  Play,
  TriangleAlert,
  Undo2,
} from 'lucide-react';
import { formatDate } from '../../store/format.ts';
import type { RunEvent, RunEventKind } from '../../worker/protocol.ts';
import { Disclosure } from '../components/Disclosure.tsx';

const icons: Readonly<Record<RunEventKind, LucideIcon>> = {
  started: Play,
  needs: Gauge,
  resumed: Play,
  branched: GitBranch,
  paused: Pause,
  'rolled-back': Undo2,
  'fell-back': MemoryStick,
  samples: Camera,
  warning: TriangleAlert,
  precision: Cpu,
  finished: CircleCheck,
  stopped: CircleStop,
  failed: CircleX,
};

/** Of these the latest stands open. */
const toBeSeen: ReadonlySet<RunEventKind> = new Set(['rolled-back', 'fell-back', 'warning', 'samples', 'failed']);

/** What happened to a run, line by line, the latest first. What needs to be known stands open. */
export function RunLog({ events }: { readonly events: readonly RunEvent[] }) {
  if (events.length === 0) return null;
  const latest = events.findLast(({ kind }) => toBeSeen.has(kind));
  return (
    <section className="card run-log" aria-label="Log">
      {latest !== undefined && (
        <output className="notice-line">
          <TriangleAlert size={15} aria-hidden="true" /> {latest.text}
        </output>
      )}
      <Disclosure title="Log" aside={events.at(-1)?.text}>
        <ol>
          {events.toReversed().map(({ kind, at, globalStep, text }) => {
            const Icon = icons[kind];
            return (
              <li key={`${at} ${kind} ${globalStep}`} data-serious={toBeSeen.has(kind)}>
                <Icon size={14} aria-hidden="true" />
                <span>{text}</span>
                <span>step {globalStep}</span>
                <time dateTime={new Date(at).toISOString()}>{formatDate(at)}</time>
              </li>
            );
          })}
        </ol>
      </Disclosure>
    </section>
  );
}
