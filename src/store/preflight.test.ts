// Plan: an answer is shown with what it is about; an accepted proposal changes its fields and nothing else, and is tried again; a cancelled
// trial leaves nothing; an error is kept to be read.
import { expect, it } from 'vitest';
import { defaultTrainOptions } from '../core/trainOptions.ts';
import { RemoteError } from '../core/errors.ts';
import type { StudioClient } from '../worker/client.ts';
import type { DatasetImage, PreflightReport, TrainRequest } from '../worker/protocol.ts';
import { createStudioStore } from './createStudioStore.ts';
import { formOf } from './trainForm.ts';

const report: PreflightReport = {
  msPerStep: 100,
  seconds: 60,
  gpuPeakBytes: 1,
  checkpointBytes: 1,
  diskBytes: 1,
  diskFreeBytes: null,
  problem: null,
  proposals: [],
};

function setUp(answer: (request: TrainRequest) => PreflightReport) {
  const asked: TrainRequest[] = [];
  const client = {
    request: async (type: string, payload: unknown) => {
      if (type !== 'train.preflight') return [];
      asked.push(payload as TrainRequest);
      return answer(payload as TrainRequest);
    },
    on: () => () => undefined,
    onCrash: () => () => undefined,
  };
  const store = createStudioStore(client as StudioClient);
  store.setState({
    selectedModelId: 'a/b',
    images: [{ id: 'i', caption: 'a dog', repeats: null, crop: null, heldOut: false } as DatasetImage],
    trainForm: formOf({ ...defaultTrainOptions, trainBatchSize: 2 }),
  });
  return { store, asked };
}

it('shows what a run needs, and tries an accepted proposal', async () => {
  const changes = { trainBatchSize: 1, gradientAccumulationSteps: 2 };
  const { store, asked } = setUp(({ options }) =>
    options.trainBatchSize === 1
      ? report
      : { ...report, problem: 'No room.', proposals: [{ label: 'Smaller', changes }] },
  );
  const before = store.getState().trainForm;
  await store.getState().preflightPressed();
  expect(store.getState()).toMatchObject({ preflightStatus: null, preflight: { report: { problem: 'No room.' } } });
  await store.getState().proposalAccepted({ label: 'Smaller', changes });
  expect(asked.map(({ options }) => options.trainBatchSize)).toEqual([2, 1]);
  expect(store.getState().preflight?.report.problem).toBeNull();
  expect(store.getState().trainForm).toEqual({ ...before, trainBatchSize: '1', gradientAccumulationSteps: '2' });
  store.getState().preflightClosed();
  expect(store.getState().preflight).toBeNull();
});

it.each([
  ['aborted', null],
  ['gpu-busy', 'busy'],
])('an error of code %s', async (code, shown) => {
  const { store } = setUp(() => {
    throw new RemoteError({ name: 'E', code, message: 'busy', remedy: '', facts: {}, stack: undefined });
  });
  await store.getState().preflightPressed();
  expect(store.getState()).toMatchObject({ preflightStatus: null, preflight: null });
  expect(store.getState().preflightError?.message ?? null).toBe(shown);
});
