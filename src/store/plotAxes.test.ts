// Plan: schedulers by their labels, with Karras where they have it; steps that were kept and others; LoRAs that are no runs.
import { expect, test } from 'vitest';
import type { GenerateRequest } from '../worker/protocol.ts';
import { plotContext } from './plotAxes.ts';

const request: GenerateRequest = {
  modelId: 'demo',
  prompt: '',
  negativePrompt: '',
  seed: 1,
  numInferenceSteps: 2,
  guidanceScale: 7,
  width: 64,
  height: 64,
  scheduler: 'ddim',
  schedulerOptions: { timestepSpacing: 'trailing', useKarrasSigmas: true },
  loras: [
    { source: { kind: 'run', runId: 'r' }, weight: 1 },
    { source: { kind: 'file', loraId: 'f' }, weight: 1 },
  ],
};
const { scheduler, trainingStep } = plotContext({ r: [100, 200] });

test('schedulers by their names', () => {
  expect(scheduler(request, 'dpm++ 2m karras')).toMatchObject({
    scheduler: 'dpmpp_2m',
    schedulerOptions: { timestepSpacing: 'trailing', useKarrasSigmas: true },
  });
  expect(scheduler(request, 'Euler a')).toMatchObject({
    scheduler: 'euler_a',
    schedulerOptions: { timestepSpacing: 'trailing' },
  });
  expect(scheduler(request, 'Euler a')?.schedulerOptions).not.toHaveProperty('useKarrasSigmas');
  expect(scheduler(request, 'DDIM Karras')).toBeNull();
  expect(scheduler(request, 'nothing')).toBeNull();
});

test('steps of a training', () => {
  expect(trainingStep?.(request, 0, 100)?.loras[0]?.source).toEqual({ kind: 'run', runId: 'r', globalStep: 100 });
  expect(trainingStep?.(request, 0, 150)).toBeNull();
  expect(trainingStep?.(request, 1, 100)).toBeNull();
  expect(plotContext({}).trainingStep?.(request, 0, 150)?.loras[0]?.source).toMatchObject({ globalStep: 150 });
});
