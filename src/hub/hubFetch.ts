/**
 * The `fetch` that is handed to @huggingface/hub. The library's own errors know neither headers nor the model, so everything
 * that can go wrong with a request is settled here: retries with growing waits, typed errors, web pages that pretend to be
 * files, servers that ignore ranges, connections that have fallen silent.
 */
import {
  HubNetworkError,
  HubNotFoundError,
  HubRateLimitError,
  HubRefusedError,
  HubUnavailableError,
  type NotFoundReason,
  NotAHubError,
} from './errors.ts';
import { parseEndpoint, parseModelId, parseToken } from './request.ts';
import { askedSeconds, ATTEMPTS, delayAfter, LONGEST_WAIT_SECONDS, sleep, type Sleep } from './retry.ts';

/** What all requests of one download have in common. */
export interface HubConnection {
  readonly id: string;
  readonly revision: string;
  readonly endpoint: string;
  readonly token: string | undefined;
  readonly fetch: typeof fetch;
  readonly sleep: Sleep;
  /** Milliseconds without a byte after which a connection counts as dead. */
  readonly stallMs: number;
  /** Whether the Hub has answered at all yet: until then a network error is most likely a wrong endpoint, not a hiccup. */
  reached: boolean;
}

/** What a person asked for, as they typed it; the `fetch` to ask with is the global one by default. */
export interface ConnectRequest {
  readonly id: string;
  readonly revision?: string;
  readonly endpoint: string;
  readonly token?: string;
  readonly fetch?: typeof fetch;
}

const STALL_MS = 30_000;

/** A connection that nothing has been asked on yet. Throws InvalidModelIdError, InvalidEndpointError, InvalidTokenError. */
export function connect(
  request: ConnectRequest,
  options: { readonly sleep?: Sleep; readonly stallMs?: number } = {},
): HubConnection {
  return {
    id: parseModelId(request.id),
    revision: request.revision?.trim() || 'main',
    endpoint: parseEndpoint(request.endpoint),
    token: parseToken(request.token),
    fetch: request.fetch ?? globalThis.fetch,
    sleep: options.sleep ?? sleep,
    stallMs: options.stallMs ?? STALL_MS,
    reached: false,
  };
}

/** What one request wants. */
export interface HubRequest {
  readonly signal: AbortSignal;
  /** The file, for error messages; none for the API. */
  readonly path?: string;
  /** Called with the length of every piece of the body as it arrives. */
  readonly onBytes?: (count: number) => void;
}

/** A `fetch` that resolves to good responses only; otherwise it throws one of ./errors.ts or the signal's reason. */
export function hubFetch(connection: HubConnection, request: HubRequest): typeof fetch {
  return async (input, init) => {
    for (let attempt = 1; ; attempt++) {
      const outcome = await attemptFetch(connection, request, input, init);
      if (outcome instanceof Response) return outcome;
      const { error, seconds, retry } = outcome;
      const attempts = connection.reached ? ATTEMPTS : 2;
      if (!retry || attempt >= attempts || (seconds ?? 0) > LONGEST_WAIT_SECONDS) throw error;
      await connection.sleep(delayAfter(attempt, seconds), request.signal);
    }
  };
}

interface Failure {
  readonly error: Error;
  readonly retry: boolean;
  /** How long the Hub asks us to wait. */
  readonly seconds: number | null;
}

async function attemptFetch(
  connection: HubConnection,
  request: HubRequest,
  input: RequestInfo | URL,
  init: RequestInit | undefined,
): Promise<Response | Failure> {
  // Taken out of the object: the browser's fetch must not be called as somebody's method.
  const { id, endpoint, fetch } = connection;
  const { signal } = request;
  signal.throwIfAborted();
  const watchdog = new Watchdog(connection.stallMs);
  let response: Response;
  try {
    response = await watchdog.guard(() =>
      // The files go into our own storage; a second copy in the browser's cache would only eat the quota.
      fetch(input, { ...init, cache: 'no-store', signal: AbortSignal.any([signal, watchdog.signal]) }),
    );
  } catch (cause) {
    signal.throwIfAborted();
    return { error: new HubNetworkError(id, endpoint, { cause }), retry: true, seconds: null };
  }
  connection.reached = true;
  if (!response.ok) return await failureOf(connection, request, response);

  const wrong = unlikeAHub(response, init);
  if (wrong !== null) {
    await response.body?.cancel();
    return { error: new NotAHubError(id, endpoint, wrong), retry: false, seconds: null };
  }
  return watched(response, watchdog, request.onBytes);
}

/** Why a good status is not to be believed; null if it is. */
function unlikeAHub(response: Response, init: RequestInit | undefined): string | null {
  if (response.headers.get('Content-Type')?.startsWith('text/html')) return 'it sent a web page instead of a file';
  const wantsRange = new Headers(init?.headers).has('Range');
  if (wantsRange && response.status !== 206) return 'it does not send parts of files';
  return null;
}

async function failureOf(connection: HubConnection, request: HubRequest, response: Response): Promise<Failure> {
  const { id, revision, token } = connection;
  const { status, headers } = response;
  const reason = headers.get('X-Error-Message') ?? '';
  await response.body?.cancel();
  if (status === 429) {
    const seconds = askedSeconds(headers, Date.now());
    return { error: new HubRateLimitError(id, seconds), retry: true, seconds };
  }
  if (status >= 500 || status === 408) {
    return { error: new HubUnavailableError(id, status), retry: true, seconds: askedSeconds(headers, Date.now()) };
  }
  if (status === 401 || status === 403 || status === 404) {
    const why = notFoundReason(status, headers.get('X-Error-Code'), token !== undefined, reason);
    const what = why === 'no-revision' ? revision : (request.path ?? '');
    if (why !== null) return { error: new HubNotFoundError(id, why, what, status), retry: false, seconds: null };
  }
  return { error: new HubRefusedError(id, status, reason), retry: false, seconds: null };
}

/**
 * Why a model or file is not given out; null for a refusal of another kind. The Hub hides whether a model is missing or private: 401 RepoNotFound without a token, 404 with one.
 * Source: huggingface_hub `utils/_http.py`, hf_raise_for_status.
 */
function notFoundReason(
  status: number,
  code: string | null,
  hasToken: boolean,
  message: string,
): NotFoundReason | null {
  // The words that the Hub has for a token that is none of its own; it has no code for it.
  if (status === 401 && hasToken && /credentials/i.test(message)) return 'bad-token';
  if (code === 'GatedRepo') return 'gated';
  if (code === 'RevisionNotFound') return 'no-revision';
  if (code === 'EntryNotFound') return 'no-file';
  if (code === 'RepoNotFound' || status !== 403) return 'missing-or-private';
  return null;
}

/** The same response; its body counts its bytes and fails when it stalls. */
function watched(response: Response, watchdog: Watchdog, onBytes: ((count: number) => void) | undefined): Response {
  const reader = response.body?.getReader();
  if (reader === undefined) return response;
  const body = new ReadableStream<Uint8Array>({
    pull: async (controller) => {
      const { done, value } = await watchdog.guard(() => reader.read());
      if (done) {
        controller.close();
        return;
      }
      onBytes?.(value.length);
      controller.enqueue(value);
    },
    cancel: (reason) => reader.cancel(reason),
  });
  return new Response(body, { status: response.status, headers: response.headers });
}

/** Aborts its signal when a step that it guards takes too long. */
class Watchdog {
  readonly #controller = new AbortController();
  readonly #ms: number;

  constructor(ms: number) {
    this.#ms = ms;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** The outcome of `step`; a rejection if it takes too long, even if the step itself takes no notice of the signal. */
  guard<T>(step: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        const silent = new Error('The connection has fallen silent.');
        this.#controller.abort(silent);
        reject(silent);
      }, this.#ms);
      step()
        .then(resolve, reject)
        .finally(() => clearTimeout(timer));
    });
  }
}
