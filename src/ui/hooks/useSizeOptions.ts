import { useMemo } from 'react';
import type { SizeOptions } from '../../core/buckets.ts';
import { optionsInForm } from '../../store/trainSettings.ts';
import { useStudio } from '../StudioContext.tsx';

/** At which sizes the next run trains, as its form says. */
export function useSizeOptions(): SizeOptions {
  const resolution = useStudio((state) => optionsInForm(state).resolution);
  // The same numbers are to be the same thing, or every card is drawn again with every letter typed into the form.
  const key = useStudio((state) => JSON.stringify(optionsInForm(state).buckets));
  return useMemo(() => ({ resolution, buckets: JSON.parse(key) as SizeOptions['buckets'] }), [resolution, key]);
}
