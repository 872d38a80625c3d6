import { useMemo } from 'react';

const none: readonly number[] = [];

/** The losses of a stored run in the wrapper that the chart takes; the same wrapper as long as they are the same. */
export function useWrapped(losses: readonly number[] | undefined): { readonly values: readonly number[] } {
  return useMemo(() => ({ values: losses ?? none }), [losses]);
}
