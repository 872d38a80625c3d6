import { InvariantError } from './errors.ts';

/** Throws an {@link InvariantError} with `message` and `facts` unless `condition` holds. */
export function invariant(
  condition: unknown,
  message: string,
  facts: Readonly<Record<string, unknown>> = {},
): asserts condition {
  if (!condition) throw new InvariantError(message, facts);
}

/** `value`, which must not be null or undefined: for look-ups that cannot miss. */
export function defined<T>(value: T | null | undefined, what = 'value'): T {
  invariant(value !== null && value !== undefined, `${what} is missing`);
  return value;
}
