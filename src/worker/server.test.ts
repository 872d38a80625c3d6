// Plan: requests are answered by id, failures come back as plain errors, a cancel aborts the right request, events carry the
// request they belong to.
import { expect, test } from 'vitest';
import { InvariantError } from '../core/errors.ts';
import type { FromWorker, ToWorker } from './protocol.ts';
import { serve, type Handlers } from './server.ts';

function harness(handlers: Partial<Handlers>): {
  readonly send: (message: ToWorker) => void;
  readonly sent: FromWorker[];
  readonly settled: (count: number) => Promise<void>;
} {
  const sent: FromWorker[] = [];
  let listener: (event: { data: ToWorker }) => void = () => {};
  serve(
    { postMessage: (message) => void sent.push(message), addEventListener: (_type, on) => void (listener = on) },
    handlers as Handlers,
  );
  return {
    send: (data) => listener({ data }),
    sent,
    settled: async (count) => {
      while (sent.filter((message) => message.kind === 'response').length < count)
        await new Promise((resolve) => setTimeout(resolve, 1));
    },
  };
}

test('answers by id; errors are plain', async () => {
  const { send, sent, settled } = harness({
    'models.list': async () => [],
    'runs.rename': async () => {
      throw new InvariantError('No such run', { id: 7 });
    },
  });
  send({ kind: 'request', id: 1, type: 'models.list', payload: {} });
  send({ kind: 'request', id: 2, type: 'runs.rename', payload: { runId: 'a', name: 'b' } });
  await settled(2);
  expect(sent).toContainEqual({ kind: 'response', id: 1, ok: true, payload: [] });
  expect(sent.find((message) => message.kind === 'response' && message.id === 2)).toMatchObject({
    ok: false,
    error: { code: 'invariant', message: 'No such run', facts: { id: 7 } },
  });
});

test('an answer that cannot be sent is an error, and nobody waits for ever', async () => {
  const sent: FromWorker[] = [];
  let listener: (event: { data: ToWorker }) => void = () => {};
  serve(
    {
      postMessage: (message) => void sent.push(structuredClone(message)),
      addEventListener: (_type, on) => void (listener = on),
    },
    { 'models.list': async () => [() => 0] as unknown as [] } as Partial<Handlers> as Handlers,
  );
  listener({ data: { kind: 'request', id: 1, type: 'models.list', payload: {} } });
  while (sent.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  expect(sent).toMatchObject([{ kind: 'response', id: 1, ok: false }]);
});

test('a cancel aborts its own request; events name their request', async () => {
  const { send, sent, settled } = harness({
    'models.download': ({ id }, { signal, emit }) => {
      emit('dataset.progress', { done: 0, total: 1 });
      return new Promise((resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error));
        if (id === 'quick') resolve({ id, revision: '', bytes: 0, savedAt: 0 });
      });
    },
  });
  send({ kind: 'request', id: 1, type: 'models.download', payload: { id: 'slow', endpoint: '' } });
  send({ kind: 'request', id: 2, type: 'models.download', payload: { id: 'quick', endpoint: '' } });
  send({ kind: 'cancel', id: 1 });
  await settled(2);
  expect(sent.find((message) => message.kind === 'response' && message.id === 1)).toMatchObject({
    ok: false,
    error: { code: 'aborted' },
  });
  expect(sent.find((message) => message.kind === 'response' && message.id === 2)).toMatchObject({ ok: true });
  expect(sent.filter((message) => message.kind === 'event').map((message) => message.requestId)).toEqual([1, 2]);
});
