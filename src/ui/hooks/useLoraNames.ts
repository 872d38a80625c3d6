import { useMemo } from 'react';
import { useStudio } from '../StudioContext.tsx';

/** What a prompt's `<lora:` may name: our runs of the model in use and the files of the library, each name once. */
export function useLoraNames(): readonly string[] {
  const runs = useStudio((state) => state.runs);
  const library = useStudio((state) => state.library);
  const modelId = useStudio((state) => state.selectedModelId);
  return useMemo(() => {
    const trained = runs.filter((run) => run.modelId === modelId && run.globalStep > 0).map(({ name }) => name);
    return [...new Set([...trained, ...library.map(({ name }) => name)])];
  }, [runs, library, modelId]);
}
