import { useMemo } from 'react';
import { formatEta } from '../../store/format.ts';
import { useStudio, useStudioStore } from '../StudioContext.tsx';

const phrases = {
  preparing: 'Preparing the training.',
  sampling: 'Drawing sample pictures.',
  paused: 'Training is paused.',
  finished: 'Training is finished.',
  stopped: 'Training was stopped.',
  failed: 'Training failed.',
};

/** Tells screen readers how the training goes: phases, and every tenth of the way. Nothing here is seen. */
export function Announcer() {
  const store = useStudioStore();
  const phase = useStudio((state) => state.trainStatus?.phase ?? null);
  const tenth = useStudio(({ latestStep }) =>
    latestStep === null ? 0 : Math.floor((10 * latestStep.globalStep) / latestStep.maxTrainSteps),
  );
  const text = useMemo(() => {
    if (phase === null) return '';
    if (phase !== 'training') return phrases[phase];
    const eta = store.getState().latestStep?.etaSeconds ?? null;
    return tenth > 0 ? `Training, ${tenth * 10} percent done, ${formatEta(eta)}.` : 'Training has begun.';
  }, [phase, tenth, store]);
  return (
    <output className="visually-hidden" aria-live="polite">
      {text}
    </output>
  );
}
