// Plan: ids pair answers with requests; errors come back typed; cancel posts one message and waits for the answer;
// events reach subscribers and the request's own handlers; a crash rejects what is pending and what comes later.
import { describe, expect, it, vi } from 'vitest';
import { RemoteError, toPlainError } from '../core/errors.ts';
import { createStudioClient, isAborted, type StudioPort, WorkerCrashedError } from './client.ts';
import type { FromWorker, ToWorker } from './protocol.ts';

class FakePort implements StudioPort {
  readonly sent: ToWorker[] = [];
  readonly #target = new EventTarget();

  postMessage(message: ToWorker): void {
    this.sent.push(message);
  }

  addEventListener(type: string, listener: (event: Event) => void): void {
    this.#target.addEventListener(type, listener);
  }

  say(data: FromWorker): void {
    this.#target.dispatchEvent(new MessageEvent('message', { data }));
  }

  fail(type: 'error' | 'messageerror', message?: string): void {
    this.#target.dispatchEvent(Object.assign(new Event(type), { message }));
  }
}

function setUp() {
  const port = new FakePort();
  return { port, client: createStudioClient(port) };
}

const progress = { modelId: 'a/b', file: 'x', loadedBytes: 1, totalBytes: 2, bytesPerSecond: 3 };

describe('createStudioClient', () => {
  it('pairs answers with requests by id, in whatever order they come', async () => {
    const { port, client } = setUp();
    const first = client.request('models.list', {});
    const second = client.request('runs.list', {});
    expect(port.sent).toEqual([
      { kind: 'request', id: 1, type: 'models.list', payload: {} },
      { kind: 'request', id: 2, type: 'runs.list', payload: {} },
    ]);
    port.say({ kind: 'response', id: 2, ok: true, payload: ['runs'] });
    port.say({ kind: 'response', id: 1, ok: true, payload: ['models'] });
    expect(await first).toEqual(['models']);
    expect(await second).toEqual(['runs']);
  });

  it('rejects with a RemoteError that carries code, remedy and facts', async () => {
    const { port, client } = setUp();
    const request = client.request('models.delete', { id: 'a/b' });
    const error = {
      name: 'GoneError',
      code: 'gone',
      message: 'Gone.',
      remedy: 'Look elsewhere.',
      facts: { id: 'a/b' },
      stack: undefined,
    };
    port.say({ kind: 'response', id: 1, ok: false, error });
    await expect(request).rejects.toBeInstanceOf(RemoteError);
    await expect(request).rejects.toMatchObject({ code: 'gone', remedy: 'Look elsewhere.', facts: { id: 'a/b' } });
  });

  it('cancels once and settles only when the worker has answered', async () => {
    const { port, client } = setUp();
    const controller = new AbortController();
    const settled = vi.fn<() => void>();
    const request = client.request('models.list', {}, { signal: controller.signal });
    request.then(settled, settled);
    controller.abort();
    controller.abort();
    expect(port.sent.slice(1)).toEqual([{ kind: 'cancel', id: 1 }]);
    await Promise.resolve();
    expect(settled).not.toHaveBeenCalled();
    port.say({
      kind: 'response',
      id: 1,
      ok: false,
      error: toPlainError(new DOMException('x', 'AbortError')),
    });
    expect(isAborted(await request.catch((error: unknown) => error))).toBe(true);
  });

  it('sends nothing for a signal that was aborted before, and no cancel after an answer', async () => {
    const { port, client } = setUp();
    const before = await client.request('models.list', {}, { signal: AbortSignal.abort() }).catch((e: unknown) => e);
    expect(isAborted(before)).toBe(true);
    expect(port.sent).toEqual([]);

    const controller = new AbortController();
    const request = client.request('models.list', {}, { signal: controller.signal });
    port.say({ kind: 'response', id: 1, ok: true, payload: [] });
    await request;
    controller.abort();
    expect(port.sent).toHaveLength(1);
  });

  it('delivers events to subscribers until they leave, and to the request that they belong to', async () => {
    const { port, client } = setUp();
    const everyone = vi.fn<(payload: unknown, id: number | null) => void>();
    const mine = vi.fn<(payload: unknown) => void>();
    const others = vi.fn<(payload: unknown) => void>();
    const leave = client.on('download.progress', everyone);
    const payload = { id: 'a/b', endpoint: 'https://huggingface.co' };
    void client.request('models.download', payload, { on: { 'download.progress': mine } });
    void client.request('models.download', payload, { on: { 'download.progress': others } });
    port.say({ kind: 'event', requestId: 1, type: 'download.progress', payload: progress });
    expect(everyone).toHaveBeenCalledWith(progress, 1);
    expect(mine).toHaveBeenCalledExactlyOnceWith(progress);
    expect(others).not.toHaveBeenCalled();
    leave();
    port.say({ kind: 'event', requestId: null, type: 'download.progress', payload: progress });
    expect(everyone).toHaveBeenCalledTimes(1);
  });

  it('rejects all pending and all later requests when the worker crashes, and says so once', async () => {
    const { port, client } = setUp();
    const onCrash = vi.fn<(error: WorkerCrashedError) => void>();
    client.onCrash(onCrash);
    const pending = client.request('runs.list', {});
    port.fail('error', 'out of memory');
    port.fail('error', 'again');
    await expect(pending).rejects.toThrow('The engine stopped unexpectedly: out of memory');
    await expect(client.request('runs.list', {})).rejects.toBeInstanceOf(WorkerCrashedError);
    expect(port.sent).toHaveLength(1);
    expect(onCrash).toHaveBeenCalledTimes(1);
    const late = vi.fn<(error: WorkerCrashedError) => void>();
    client.onCrash(late);
    expect(late).toHaveBeenCalledTimes(1);
  });

  it('explains a program that could not be loaded and a message that could not be read', async () => {
    const unloaded = setUp();
    const first = unloaded.client.request('runs.list', {});
    unloaded.port.fail('error');
    await expect(first).rejects.toThrow('its program could not be loaded.');
    const unread = setUp();
    const second = unread.client.request('runs.list', {});
    unread.port.fail('messageerror');
    await expect(second).rejects.toThrow('it sent a message that could not be read.');
  });

  it('rejects when the payload cannot be posted, and forgets the request', async () => {
    const { port, client } = setUp();
    port.postMessage = () => {
      throw new DOMException('could not be cloned', 'DataCloneError');
    };
    await expect(client.request('runs.list', {})).rejects.toThrow('could not be cloned');
  });
});
