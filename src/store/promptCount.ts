/** How the chosen model reads a prompt, for the counter under its field. */
import type { TokenCount } from '../worker/protocol.ts';
import type { SliceContext } from './slice.ts';

export interface TypedPrompt {
  readonly prompt: string;
  readonly modelId: string | null;
  /** As in the form: it may be no number yet. */
  readonly steps: string;
}

export interface PromptCountSlice {
  /** Null while no model is chosen or its files are not here; a counter shows nothing then. */
  readonly promptTyped: (typed: TypedPrompt) => Promise<TokenCount | null>;
}

const defaultSteps = 25;

export function createPromptCountSlice({ client }: SliceContext): PromptCountSlice {
  return {
    promptTyped: async ({ prompt, modelId, steps: typed }) => {
      if (modelId === null) return null;
      const steps = Number(typed);
      const numInferenceSteps = Number.isInteger(steps) && steps >= 1 && steps <= 1000 ? steps : defaultSteps;
      // A model that cannot be opened is said to be so by whatever opens it to draw.
      return client.request('prompt.count', { modelId, prompt, numInferenceSteps }).catch(() => null);
    },
  };
}
