/**
 * The root of every error that Loratory throws on purpose.
 *
 * An error carries `facts` (what was measured or read: plain data, so that it survives a worker boundary) and a `remedy`
 * (what the person in front of the screen can do). `message` names the facts; the UI and the CLI print message, then remedy.
 * Subclasses live beside the code that throws them and set `code` to a stable kebab-case identifier.
 */
export abstract class LoratoryError extends Error {
  abstract readonly code: string;

  constructor(
    message: string,
    readonly remedy: string,
    readonly facts: Readonly<Record<string, unknown>> = {},
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** An error as plain data: what crosses the worker boundary and what the UI shows. */
export interface PlainError {
  readonly name: string;
  readonly code: string;
  readonly message: string;
  readonly remedy: string;
  readonly facts: Readonly<Record<string, unknown>>;
  readonly stack: string | undefined;
}

/** Turns anything that was thrown into plain data. Unknown errors get the code `unexpected`. */
export function toPlainError(error: unknown): PlainError {
  if (error instanceof LoratoryError) {
    const { name, code, message, remedy, facts, stack } = error;
    return { name, code, message, remedy, facts, stack };
  }
  if (error instanceof DOMException && error.name === 'AbortError') {
    return { name: 'AbortError', code: 'aborted', message: 'Cancelled.', remedy: '', facts: {}, stack: undefined };
  }
  const known = error instanceof Error ? error : new Error(String(error));
  return {
    name: known.name,
    code: 'unexpected',
    message: known.message,
    remedy: 'This is a fault in Loratory itself. Reload the page; if it comes back, report it with the text above.',
    facts: {},
    stack: known.stack,
  };
}

/** A {@link PlainError} come back to life on the other side of the worker boundary; `code` and `facts` are the original's. */
export class RemoteError extends LoratoryError {
  readonly code: string;

  constructor(plain: PlainError) {
    super(plain.message, plain.remedy, plain.facts);
    this.name = plain.name;
    this.code = plain.code;
    if (plain.stack !== undefined) this.stack = plain.stack;
  }
}

/** Something that our own code promised did not hold. */
export class InvariantError extends LoratoryError {
  readonly code = 'invariant';

  constructor(message: string, facts: Readonly<Record<string, unknown>> = {}) {
    super(message, 'This is a fault in Loratory itself: please report it with the text above.', facts);
  }
}
