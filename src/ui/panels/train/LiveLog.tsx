import type { RunEvent } from '../../../worker/protocol.ts';
import { RunLog } from '../../run/RunLog.tsx';
import { useStudio } from '../../StudioContext.tsx';

const noEvents: readonly RunEvent[] = [];

/** The log of a run that may go on. */
export function LiveLog({ runId }: { readonly runId: string }) {
  const stored = useStudio((state) => state.runs.find(({ id }) => id === runId)?.events ?? noEvents);
  const live = useStudio((state) => state.liveEvents[runId] ?? noEvents);
  // What was heard may be stored already, or not yet.
  return <RunLog events={[...stored, ...live.filter(({ at }) => at > (stored.at(-1)?.at ?? 0))]} />;
}
