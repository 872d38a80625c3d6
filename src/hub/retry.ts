/** How long to wait before asking again. */

/** Waits `ms`; rejects with the signal's reason as soon as it is aborted. */
export type Sleep = (ms: number, signal: AbortSignal) => Promise<void>;

/** A request is made at most so many times; the waits between add up to 31 seconds. */
export const ATTEMPTS = 6;
/** Longer than this nobody should wait unseen: the caller is told instead, and the download can go on later. */
export const LONGEST_WAIT_SECONDS = 60;

/** Milliseconds to wait after so many attempts: the seconds that the server asked for, or 1, 2, 4... seconds. */
export function delayAfter(attempts: number, asked: number | null): number {
  return 1000 * (asked ?? Math.min(2 ** (attempts - 1), 30));
}

/**
 * Seconds that a response asks us to wait: `Retry-After` (seconds or a date) or the Hub's `RateLimit: "api";r=0;t=55`.
 * Null if it does not say, or if the browser may not read it.
 * Source: https://huggingface.co/docs/hub/rate-limits, RFC 9110 section 10.2.3
 */
export function askedSeconds(headers: Headers, now: number): number | null {
  const retryAfter = headers.get('Retry-After');
  if (retryAfter !== null) {
    const seconds = /^\d+$/.test(retryAfter.trim()) ? Number(retryAfter) : (Date.parse(retryAfter) - now) / 1000;
    if (Number.isFinite(seconds)) return Math.max(0, Math.ceil(seconds));
  }
  const reset = /(?:^|;)\s*t=(\d+)/.exec(headers.get('RateLimit') ?? '')?.[1];
  return reset === undefined ? null : Number(reset);
}

/** The {@link Sleep} of real life. */
export const sleep: Sleep = (ms, signal) =>
  new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    }, ms);
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    signal.addEventListener('abort', onAbort, { once: true });
  });
