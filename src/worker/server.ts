/** The worker's end of the protocol: runs a handler per request, answers it, cancels it, and sends events. */
import { toPlainError } from '../core/errors.ts';
import type { EventMessage, Events, EventType, FromWorker, Requests, RequestType, ToWorker } from './protocol.ts';

/** What a handler may do while it works. */
export interface RequestContext {
  /** Aborted when the page cancels the request. */
  readonly signal: AbortSignal;
  readonly emit: <T extends EventType>(type: T, payload: Events[T]) => void;
}

export type Handlers = {
  readonly [T in RequestType]: (payload: Requests[T][0], context: RequestContext) => Promise<Requests[T][1]>;
};

/** The part of a worker's global scope that is used here. */
export interface Port {
  postMessage(message: FromWorker): void;
  addEventListener(type: 'message', listener: (event: { readonly data: ToWorker }) => void): void;
}

/** Serves requests from `port`. Returns a function that sends events that belong to no request. */
export function serve(port: Port, handlers: Handlers): <T extends EventType>(type: T, payload: Events[T]) => void {
  const running = new Map<number, AbortController>();
  const emit = <T extends EventType>(requestId: number | null, type: T, payload: Events[T]): void => {
    port.postMessage({ kind: 'event', requestId, type, payload } as EventMessage);
  };
  port.addEventListener('message', ({ data }) => {
    if (data.kind === 'cancel') {
      running.get(data.id)?.abort();
      return;
    }
    const { id, type } = data;
    const abort = new AbortController();
    running.set(id, abort);
    // The pair of type and payload is right by construction of RequestMessage; TypeScript cannot follow it through the index.
    const handler = handlers[type] as (payload: unknown, context: RequestContext) => Promise<unknown>;
    handler(data.payload, { signal: abort.signal, emit: (event, payload) => emit(id, event, payload) })
      .then((payload) => port.postMessage({ kind: 'response', id, ok: true, payload }))
      // What cannot be sent is an answer, too: nobody may wait for ever.
      .catch((error: unknown) => port.postMessage({ kind: 'response', id, ok: false, error: toPlainError(error) }))
      .finally(() => running.delete(id));
  });
  return (type, payload) => emit(null, type, payload);
}
