// Plan: a run that was interrupted goes on with its chart; a roll-back takes losses back; the queue runs on by itself, and stops at an error;
// a run of another tab is watched, not touched, until it ends or dies; the log is heard.
import { describe, expect, it, vi } from 'vitest';
import { RemoteError } from '../core/errors.ts';
import { defaultTrainOptions } from '../core/trainOptions.ts';
import type { StudioClient } from '../worker/client.ts';
import type { Events, EventType, ListedRun, QueuedRun, TrainStep } from '../worker/protocol.ts';
import { createStudioStore } from './createStudioStore.ts';

vi.stubGlobal('requestAnimationFrame', () => 0);

type Answers = Record<string, (payload: never) => unknown>;

function setUp(answers: Answers = {}) {
  const handlers = new Map<string, ((payload: unknown) => void)[]>();
  const calls: string[] = [];
  const client = {
    request: async (type: string, payload: unknown) => {
      calls.push(type);
      const answer = answers[type];
      if (answer) return answer(payload as never);
      return type.endsWith('.list') || type === 'runs.samples' ? [] : null;
    },
    on: (type: string, handler: (payload: unknown) => void) => {
      handlers.set(type, [...(handlers.get(type) ?? []), handler]);
      return () => undefined;
    },
    onCrash: () => () => undefined,
  };
  const store = createStudioStore(client as unknown as StudioClient);
  const emit = <T extends EventType>(type: T, payload: Events[T]): void => {
    for (const handler of handlers.get(type) ?? []) handler(payload);
  };
  return { store, emit, calls };
}

const run = (id: string, globalStep: number): ListedRun => ({
  id,
  name: id,
  modelId: 'm',
  triggerWord: '',
  startedAt: 1,
  finishedAt: null,
  globalStep,
  options: { ...defaultTrainOptions, maxTrainSteps: 10 },
  imageCount: 1,
  losses: Array.from({ length: globalStep }, (_, i) => i),
  state: 'interrupted',
});

const step = (runId: string, globalStep: number, loss: number): TrainStep => ({
  runId,
  globalStep,
  maxTrainSteps: 10,
  loss,
  learningRate: 1e-4,
  msPerStep: 1,
  etaSeconds: 1,
  gpuBytes: 1,
  gpuPeakBytes: 1,
  examples: [],
  strip: [],
});

const status = (runId: string): Events['train.status'] => ({ runId, phase: 'training', detail: '', progress: 0 });

describe('a run that is gone on with', () => {
  it('continues its chart, and a roll-back takes losses back', async () => {
    const seen: number[][] = [];
    const { store, emit, calls } = setUp({
      'train.continue': () => {
        seen.push([...store.getState().liveLosses.values]);
        for (const [at, loss] of [
          [4, 40],
          [5, 50],
          [6, 60],
          [5, 51],
        ] as const)
          emit('train.step', step('a', at, loss));
        emit('train.status', status('a'));
        seen.push([...store.getState().liveLosses.values]);
        return { ...run('a', 10), state: 'finished' };
      },
    });
    store.setState({ runs: [run('a', 3)] });
    await store.getState().runResumed('a');
    expect(seen).toEqual([
      [0, 1, 2],
      [0, 1, 2, 40, 51],
    ]);
    expect(calls).toContain('runs.samples');
    expect(store.getState()).toMatchObject({ isTraining: false, liveRunId: 'a' });
  });

  it('writes down where it stands when the page is hidden', async () => {
    const { store, calls } = setUp({
      'train.continue': () => {
        store.getState().pageHidden();
        return run('a', 10);
      },
    });
    store.getState().pageHidden();
    expect(calls).not.toContain('train.checkpoint');
    await store.getState().runResumed('a');
    expect(calls).toContain('train.checkpoint');
  });
});

describe('the queue', () => {
  function withQueue(names: string[], failing = '') {
    const queue = names.map((name): QueuedRun => ({
      id: name,
      request: { modelId: 'm', name, triggerWord: '', images: [], options: defaultTrainOptions },
    }));
    return setUp({
      'runQueue.list': () => [...queue],
      'train.next': () => {
        const next = queue.shift();
        if (next?.id === failing) {
          throw new RemoteError({ name: 'E', code: 'e', message: 'no', remedy: '', facts: {}, stack: undefined });
        }
        return next === undefined ? null : run(next.id, 10);
      },
    });
  }

  it('runs on by itself until nothing waits', async () => {
    const { store, calls } = withQueue(['b', 'c']);
    await store.getState().runResumed('a');
    expect(calls.filter((call) => call.startsWith('train.'))).toEqual(['train.continue', 'train.next', 'train.next']);
    expect(store.getState().queuedRuns).toEqual([]);
  });

  it('stops at an error, which is to be read first', async () => {
    const { store, calls } = withQueue(['b', 'c'], 'b');
    await store.getState().queueStarted();
    expect(calls.filter((call) => call.startsWith('train.'))).toEqual(['train.next']);
    expect(store.getState().trainError?.message).toBe('no');
    expect(store.getState().queuedRuns.map(({ id }) => id)).toEqual(['c']);
  });
});

describe('a run of another tab', () => {
  it('is watched until it ends', () => {
    const { store, emit } = setUp();
    emit('watch.changed', { runId: 'w', name: 'cat', maxTrainSteps: 10, losses: [5, 4] });
    emit('train.step', step('w', 3, 3));
    emit('train.status', status('w'));
    expect(store.getState()).toMatchObject({ isTraining: false, liveRunId: 'w', trainStatus: { runId: 'w' } });
    expect(store.getState().liveLosses.values).toEqual([5, 4, 3]);
    emit('watch.changed', null);
    expect(store.getState()).toMatchObject({ watchedRun: null, liveRunId: null, trainStatus: null });
  });

  it('that ends unseen leaves this tab’s own run alone', () => {
    const { store, emit } = setUp();
    store.setState({ isTraining: true, liveRunId: 'own' });
    emit('watch.changed', null);
    expect(store.getState().liveRunId).toBe('own');
  });
});

it('keeps what it hears of the log, by run', () => {
  const { store, emit } = setUp();
  const event = { kind: 'rolled-back', at: 1, globalStep: 20, text: 'Back.' } as const;
  emit('train.event', { runId: 'a', event });
  emit('train.event', { runId: 'b', event });
  emit('train.event', { runId: 'a', event: { ...event, at: 2 } });
  expect(store.getState().liveEvents['a']?.map(({ at }) => at)).toEqual([1, 2]);
  expect(store.getState().liveEvents['b']).toHaveLength(1);
});
