import type { StoredRun } from '../../../worker/protocol.ts';
import { useStudio } from '../../StudioContext.tsx';

/** How a run ended, in a word or two. */
export function outcomeOf(run: StoredRun, isLive: boolean): string {
  if (isLive) return 'training now';
  if (run.globalStep >= run.options.maxTrainSteps) return `${run.globalStep} steps`;
  return `${run.finishedAt === null ? 'interrupted' : 'stopped'} at ${run.globalStep} of ${run.options.maxTrainSteps}`;
}

/** Whether this run is being trained now. */
export function useIsLive(runId: string): boolean {
  return useStudio((state) => state.isTraining && state.liveRunId === runId);
}
