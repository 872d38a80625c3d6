/** The runs that a prompt asks for by name: `<lora:a red style:0.8>`. */
import { LoratoryError } from '../core/errors.ts';
import { extractLoraTags } from '../prompts/loraTags.ts';
import type { StoredRun } from './protocol.ts';

/** A prompt names a LoRA that is not here. */
export class LoraNotFoundError extends LoratoryError {
  readonly code = 'lora-not-found';

  constructor(name: string, names: readonly string[]) {
    super(
      `There is no LoRA called “${name}” for <lora:${name}:...> in the prompt.`,
      names.length > 0 ? `Take one of these: ${names.join(', ')}.` : 'Train one first, or take the tag out.',
      { name, names },
    );
  }
}

/** Each tag's run: of several with one name, the newest. Throws {@link LoraNotFoundError}. */
export function taggedRuns(
  prompt: string,
  runs: readonly Pick<StoredRun, 'id' | 'name' | 'startedAt'>[],
): readonly { readonly runId: string; readonly weight: number; readonly textEncoderWeight: number }[] {
  const newestFirst = [...runs].sort((a, b) => b.startedAt - a.startedAt);
  return extractLoraTags(prompt).loras.map(({ name, unetWeight: weight, textEncoderWeight }) => {
    const run = newestFirst.find((one) => one.name === name);
    if (!run) throw new LoraNotFoundError(name, [...new Set(newestFirst.map((one) => one.name))]);
    return { runId: run.id, weight, textEncoderWeight };
  });
}
