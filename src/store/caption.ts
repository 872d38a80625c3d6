/** Captions as the trainer will read them, and the prompts that follow from them. */
import { captionWithTrigger } from '../core/captions.ts';
import type { SamplePrompt } from '../worker/protocol.ts';

/** File name without folders and without its last extension: `cats/tom.png` -> `tom`. */
export function fileStem(fileName: string): string {
  const base = fileName.slice(Math.max(fileName.lastIndexOf('/'), fileName.lastIndexOf('\\')) + 1);
  const dot = base.lastIndexOf('.');
  return dot > 0 ? base.slice(0, dot) : base;
}

/** Up to three prompts to watch while training: what the images say, or the trigger word alone. */
export function suggestSamplePrompts(triggerWord: string, captions: readonly string[], seed: number): SamplePrompt[] {
  const prompts = new Set(captions.map((caption) => captionWithTrigger(triggerWord, caption)).filter((p) => p !== ''));
  const chosen = [...prompts].slice(0, 3);
  const word = triggerWord.trim();
  if (word !== '' && chosen.length < 3 && !prompts.has(word)) chosen.push(word);
  if (chosen.length === 0) chosen.push('a photo');
  return chosen.map((prompt, index) => ({ prompt, seed: seed + index }));
}
