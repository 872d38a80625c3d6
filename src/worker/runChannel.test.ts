// Plan: a tab that is opened while another trains hears of the run with all its losses, then of every step; of its end; of the other tab's
// death; rolled-back steps are replaced; what belongs to no run is not sent on.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Events, EventType, TrainStep } from './protocol.ts';
import { type Channel, RunChannel } from './runChannel.ts';

type Heard = { [T in EventType]?: Events[T][] };
type Listener = Parameters<Channel['addEventListener']>[1];

/** A BroadcastChannel for several tabs, each with its own end. */
function bus() {
  const ends: { readonly listeners: Listener[] }[] = [];
  return (): Channel => {
    const own = { listeners: [] as Listener[] };
    ends.push(own);
    return {
      postMessage: (message) => {
        for (const end of ends)
          if (end !== own) for (const hear of end.listeners) hear({ data: structuredClone(message) });
      },
      addEventListener: (_, listener) => void own.listeners.push(listener),
    };
  };
}

function tab(channel: Channel, isTraining: () => boolean) {
  const heard: Heard = {};
  const emit = <T extends EventType>(type: T, payload: Events[T]): void => {
    ((heard[type] ??= []) as Events[T][]).push(payload);
  };
  const onQueue = vi.fn<() => void>();
  const runs = new RunChannel({ channel, lock: { isTraining: async () => isTraining() }, emit, onQueue, pollMs: 100 });
  return { heard, runs, onQueue };
}

const step = (globalStep: number, loss: number): TrainStep => ({
  runId: 'r',
  globalStep,
  maxTrainSteps: 9,
  loss,
  learningRate: 1e-4,
  msPerStep: 1,
  etaSeconds: 1,
  gpuBytes: 1,
  gpuPeakBytes: 1,
  examples: [],
  strip: [],
});

describe('tabs', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('look on from the middle to the end', () => {
    const open = bus();
    const a = tab(open(), () => true);
    a.runs.begin({ runId: 'r', name: 'cat', maxTrainSteps: 9, losses: [0.9, 0.8] });
    a.runs.emit('train.step', step(3, 0.7));
    a.runs.emit('train.step', step(4, 0.6));
    // Rolled back to step 2.
    a.runs.emit('train.step', step(3, 0.5));
    a.runs.emit('train.status', { runId: 'r', phase: 'training', detail: 'Step 3', progress: 0.3 });

    const b = tab(open(), () => true);
    expect(b.heard['watch.changed']).toEqual([{ runId: 'r', name: 'cat', maxTrainSteps: 9, losses: [0.9, 0.8, 0.5] }]);
    expect(b.heard['train.status']?.at(-1)?.detail).toBe('Step 3');
    a.runs.emit('train.step', step(4, 0.4));
    expect(b.heard['train.step']).toEqual([step(4, 0.4)]);
    a.runs.emit('gpu.lost', { name: '', code: '', message: '', remedy: '', facts: {}, stack: undefined });
    expect(b.heard['gpu.lost']).toBeUndefined();

    a.runs.end();
    expect(b.heard['watch.changed']?.at(-1)).toBeNull();
    expect(a.heard['watch.changed']).toBeUndefined();
    expect(a.heard['train.step']).toHaveLength(4);
  });

  it('notice that the other one died', async () => {
    let alive = true;
    const open = bus();
    const a = tab(open(), () => alive);
    a.runs.begin({ runId: 'r', name: 'cat', maxTrainSteps: 9, losses: [] });
    const b = tab(open(), () => alive);
    await vi.advanceTimersByTimeAsync(1000);
    expect(b.heard['watch.changed']).toHaveLength(1);
    alive = false;
    await vi.advanceTimersByTimeAsync(200);
    expect(b.heard['watch.changed']?.at(-1)).toBeNull();
  });

  it('tell each other that the queue has changed', () => {
    const open = bus();
    const [a, b] = [tab(open(), () => false), tab(open(), () => false)];
    a.runs.queueChanged();
    expect([a.onQueue.mock.calls.length, b.onQueue.mock.calls.length]).toEqual([0, 1]);
  });
});
