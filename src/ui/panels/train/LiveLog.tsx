import {
  Camera,
  CircleCheck,
  CircleStop,
  Gauge,
  GitBranch,
  MemoryStick,
  Pause,
  Play,
  TriangleAlert,
  Undo2,
  CircleX,
  type LucideIcon,
} from 'lucide-react';
import type { RunEvent, RunEventKind } from '../../../worker/protocol.ts';
import { Disclosure } from '../../components/Disclosure.tsx';
import { useStudio } from '../../StudioContext.tsx';

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
  finished: CircleCheck,
  stopped: CircleStop,
  failed: CircleX,
};

/** Of these the latest stands open. */
const toBeSeen: ReadonlySet<RunEventKind> = new Set(['rolled-back', 'fell-back', 'warning', 'samples', 'failed']);

const noEvents: readonly RunEvent[] = [];

const timeOf = new Intl.DateTimeFormat('en', { dateStyle: 'medium', timeStyle: 'short' });

/** What happened to a run, line by line. What needs to be known stands open. */
export function LiveLog({ runId }: { readonly runId: string }) {
  const stored = useStudio((state) => state.runs.find(({ id }) => id === runId)?.events ?? noEvents);
  const live = useStudio((state) => state.liveEvents[runId] ?? noEvents);
  // What was heard may be stored already, or not yet.
  const events = [...stored, ...live.filter(({ at }) => at > (stored.at(-1)?.at ?? 0))];
  if (events.length === 0) return null;
  const grave = events.filter(({ kind }) => toBeSeen.has(kind));
  const latest = grave.at(-1);
  return (
    <section className="card live-log" aria-label="Log">
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
              <li key={`${at} ${kind} ${globalStep}`}>
                <Icon size={14} aria-hidden="true" />
                <span>{text}</span>
                <time dateTime={new Date(at).toISOString()}>{timeOf.format(at)}</time>
              </li>
            );
          })}
        </ol>
      </Disclosure>
    </section>
  );
}
