/**
 * The page's end of the studio worker: requests as promises, events as subscriptions.
 *
 * A request settles only when the worker has answered it, a cancelled one too: so that whoever waits for a cancelled
 * request knows that the GPU or the download is free again.
 */
import { LoratoryError, RemoteError } from '../core/errors.ts';
import type { CancelMessage, Events, EventType, FromWorker, Requests, RequestType, ToWorker } from './protocol.ts';

/** What the client needs of a Worker or a started MessagePort. */
export interface StudioPort {
  postMessage(message: ToWorker): void;
  addEventListener(type: 'message' | 'error' | 'messageerror', listener: (event: Event) => void): void;
}

/** The worker died, could not be loaded, or sent something that could not be read. Every later request fails with it too. */
export class WorkerCrashedError extends LoratoryError {
  readonly code = 'worker-crashed';

  constructor(readonly reason: string) {
    super(
      `The engine stopped unexpectedly: ${reason}`,
      'Reload the page. Images, models and finished runs are kept in this browser.',
      { reason },
    );
  }
}

export type EventHandler<T extends EventType> = (payload: Events[T], requestId: number | null) => void;

export interface RequestOptions {
  /** Aborting sends a {@link CancelMessage}; the promise then rejects with code `aborted` once the worker has let go. */
  readonly signal?: AbortSignal;
  /** Handlers for the events of this one request. */
  readonly on?: { readonly [T in EventType]?: (payload: Events[T]) => void };
}

export interface StudioClient {
  /** Rejects with a {@link RemoteError} (the worker's error) or a {@link WorkerCrashedError}. */
  request<T extends RequestType>(type: T, payload: Requests[T][0], options?: RequestOptions): Promise<Requests[T][1]>;
  /** Hears every event of this type; returns the function that ends it. */
  on<T extends EventType>(type: T, handler: EventHandler<T>): () => void;
  /** Called once, when the worker is gone (at once if it is gone already). */
  onCrash(handler: (error: WorkerCrashedError) => void): () => void;
}

interface Pending {
  resolve(payload: unknown): void;
  reject(error: Error): void;
  deliver(type: EventType, payload: unknown): void;
  cleanUp(): void;
}

/** True if `error` only says that somebody cancelled. */
export function isAborted(error: unknown): boolean {
  return error instanceof RemoteError && error.code === 'aborted';
}

function abortedError(): RemoteError {
  return new RemoteError({
    name: 'AbortError',
    code: 'aborted',
    message: 'Cancelled.',
    remedy: '',
    facts: {},
    stack: undefined,
  });
}

/** Speaks the protocol over `port`. Listens at once; the port must be started by whoever made it. */
export function createStudioClient(port: StudioPort): StudioClient {
  const pending = new Map<number, Pending>();
  const handlers = new Map<EventType, Set<(payload: never, requestId: number | null) => void>>();
  const crashHandlers = new Set<(error: WorkerCrashedError) => void>();
  let crash: WorkerCrashedError | null = null;
  let nextId = 1;

  const take = (id: number): Pending | undefined => {
    const entry = pending.get(id);
    pending.delete(id);
    entry?.cleanUp();
    return entry;
  };

  const crashed = (reason: string): void => {
    if (crash !== null) return;
    crash = new WorkerCrashedError(reason);
    for (const id of pending.keys()) take(id)?.reject(crash);
    for (const handler of crashHandlers) handler(crash);
    crashHandlers.clear();
  };

  port.addEventListener('message', (event) => {
    const message = (event as MessageEvent<FromWorker>).data;
    if (message.kind === 'response') {
      const entry = take(message.id);
      if (message.ok) entry?.resolve(message.payload);
      else entry?.reject(new RemoteError(message.error));
      return;
    }
    if (message.requestId !== null) pending.get(message.requestId)?.deliver(message.type, message.payload);
    for (const handler of handlers.get(message.type) ?? []) handler(message.payload as never, message.requestId);
  });
  port.addEventListener('error', (event) => {
    const { message } = event as Partial<ErrorEvent>;
    crashed(message === undefined || message === '' ? 'its program could not be loaded.' : message);
  });
  port.addEventListener('messageerror', () => crashed('it sent a message that could not be read.'));

  return {
    request<T extends RequestType>(type: T, payload: Requests[T][0], options: RequestOptions = {}) {
      const { signal, on } = options;
      return new Promise<Requests[T][1]>((resolve, reject) => {
        if (crash !== null) return reject(crash);
        if (signal?.aborted === true) return reject(abortedError());
        const id = nextId++;
        const cancel = (): void => {
          const message: CancelMessage = { kind: 'cancel', id };
          port.postMessage(message);
        };
        pending.set(id, {
          resolve: (result) => resolve(result as Requests[T][1]),
          reject,
          deliver: (eventType, data) => (on?.[eventType] as ((data: unknown) => void) | undefined)?.(data),
          cleanUp: () => signal?.removeEventListener('abort', cancel),
        });
        signal?.addEventListener('abort', cancel, { once: true });
        try {
          // The pair (type, payload) is checked by the signature; TypeScript cannot see that the object is one of the union.
          port.postMessage({ kind: 'request', id, type, payload } as unknown as ToWorker);
        } catch (error) {
          take(id);
          reject(error);
        }
      });
    },
    on(type, handler) {
      const set = handlers.get(type) ?? new Set();
      handlers.set(type, set);
      set.add(handler);
      return () => set.delete(handler);
    },
    onCrash(handler) {
      if (crash !== null) handler(crash);
      else crashHandlers.add(handler);
      return () => crashHandlers.delete(handler);
    },
  };
}
