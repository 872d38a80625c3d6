// Plan: one at a time and in order; moved ones go first; waiting ones are cancelled at once, the running one through its signal;
// an interrupted one is told; the queue goes on after a failure.
import { expect, test } from 'vitest';
import { JobQueue, type JobControl } from './jobQueue.ts';
import type { QueueState } from './protocol.ts';

function harness(): {
  readonly queue: JobQueue;
  readonly states: string[];
  readonly started: string[];
  readonly add: (jobId: string, signal?: AbortSignal) => Promise<string>;
  readonly control: (jobId: string) => JobControl;
  readonly finish: (jobId: string) => void;
  readonly fail: (jobId: string) => void;
} {
  const states: string[] = [];
  const started: string[] = [];
  const controls = new Map<string, JobControl>();
  const ends = new Map<string, { resolve(value: string): void; reject(error: Error): void }>();
  const written = (state: QueueState): string =>
    state.map((job) => `${job.jobId}${job.state === 'running' ? '*' : ''}`).join(' ');
  const queue = new JobQueue((state) => states.push(written(state)));
  return {
    queue,
    states,
    started,
    add: (jobId, signal = new AbortController().signal) =>
      queue.run({ jobId, prompt: '', modelId: 'm', pictureCount: 1 }, signal, (control) => {
        started.push(jobId);
        controls.set(jobId, control);
        control.signal.addEventListener('abort', () => ends.get(jobId)?.reject(control.signal.reason as Error));
        return new Promise((resolve, reject) => ends.set(jobId, { resolve, reject }));
      }),
    control: (jobId) => controls.get(jobId)!,
    finish: (jobId) => ends.get(jobId)!.resolve(jobId),
    fail: (jobId) => ends.get(jobId)!.reject(new Error('broken')),
  };
}

test('jobs run one at a time, in their order, which may be changed while they wait', async () => {
  const { queue, states, started, add, finish } = harness();
  const a = add('a');
  const b = add('b');
  const c = add('c');
  expect(started).toEqual(['a']);
  queue.move('c', 0);
  finish('a');
  await a;
  expect(started).toEqual(['a', 'c']);
  finish('c');
  await c;
  finish('b');
  await expect(b).resolves.toBe('b');
  expect(states).toEqual(['a*', 'a* b', 'a* b c', 'a* c b', 'c* b', 'b*', '']);
});

test('a waiting job is cancelled at once and never begins', async () => {
  const { queue, started, add, finish } = harness();
  const a = add('a');
  const b = add('b');
  expect(queue.cancel('b')).toBe(true);
  await expect(b).rejects.toMatchObject({ name: 'AbortError' });
  finish('a');
  await a;
  expect(started).toEqual(['a']);
  expect(queue.cancel('b')).toBe(false);
});

test('the running job is ended through its signal, and the next begins when it has let go', async () => {
  const { started, add, finish } = harness();
  const page = new AbortController();
  const a = add('a', page.signal);
  const b = add('b');
  page.abort(new DOMException('', 'AbortError'));
  await expect(a).rejects.toMatchObject({ name: 'AbortError' });
  expect(started).toEqual(['a', 'b']);
  finish('b');
  await b;
});

test('all are cancelled', async () => {
  const { queue, started, add } = harness();
  const jobs = [add('a'), add('b'), add('c')];
  queue.cancelAll();
  const ended = await Promise.allSettled(jobs);
  expect(ended.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
  expect(started).toEqual(['a']);
  expect(queue.list()).toEqual([]);
});

test('an interrupted job is told and ends by itself; the queue goes on after a failure', async () => {
  const { queue, add, control, finish, fail } = harness();
  const a = add('a');
  const b = add('b');
  queue.interrupt('a');
  expect(control('a').interrupted()).toBe(true);
  expect(control('a').signal.aborted).toBe(false);
  fail('a');
  await expect(a).rejects.toThrow('broken');
  finish('b');
  await expect(b).resolves.toBe('b');
});
