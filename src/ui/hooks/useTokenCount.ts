import { useEffect, useState } from 'react';
import type { TokenCount } from '../../worker/protocol.ts';
import { useStudio } from '../StudioContext.tsx';

const restMs = 120;

/** How the chosen model reads `prompt`, a moment after the typing came to rest; null while that is not known. */
export function useTokenCount(prompt: string): TokenCount | null {
  const [count, setCount] = useState<TokenCount | null>(null);
  const promptTyped = useStudio((state) => state.promptTyped);
  const modelId = useStudio((state) => state.selectedModelId);
  const steps = useStudio((state) => state.generateForm.steps);
  useEffect(() => {
    let isLatest = true;
    const timer = setTimeout(() => {
      void promptTyped({ prompt, modelId, steps }).then((counted) => {
        if (isLatest) setCount(counted);
      });
    }, restMs);
    return () => {
      isLatest = false;
      clearTimeout(timer);
    };
  }, [promptTyped, prompt, modelId, steps]);
  return count;
}
