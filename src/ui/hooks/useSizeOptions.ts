import { useMemo } from 'react';
import { useStudio } from '../StudioContext.tsx';
import type { SizeOptions } from '../../core/buckets.ts';
import { defaultTrainOptions } from '../../core/trainOptions.ts';
import { sizesInUse } from '../../store/modelDefaults.ts';
import { readTrainForm } from '../../store/trainForm.ts';

/** At which sizes the next run trains, as its form says; the model's own while that cannot be read. */
export function useSizeOptions(): SizeOptions {
  const form = useStudio((state) => state.trainForm);
  const imageSize = useStudio((state) => sizesInUse(state).imageSize);
  return useMemo(() => {
    const { options } = readTrainForm(form, [], imageSize);
    const { resolution, buckets } = options ?? { ...defaultTrainOptions, resolution: imageSize };
    return { resolution, buckets };
  }, [form, imageSize]);
}
