/** `<lora:name:weight>` in a prompt, as A1111 reads it: the tag is taken out of the text and says which LoRA acts how strongly. */

export interface LoraTag {
  readonly name: string;
  readonly textEncoderWeight: number;
  readonly unetWeight: number;
}

export interface TaggedPrompt {
  /** The prompt without its tags. */
  readonly text: string;
  readonly loras: readonly LoraTag[];
  /** Tags that were taken out and do nothing: of another kind (`<hypernet:...>`), or with a weight that is no number. */
  readonly ignored: readonly string[];
}

const TAG = /<([\p{L}\p{N}_]+):([^>]+)>/gu;

/**
 * Takes the tags out of a prompt. `<lora:name>` weighs 1; `<lora:name:0.8>` both parts of the model; `<lora:name:0.5:1>` first the
 * text encoder, then the UNet; `te=` and `unet=` name them. A1111 reads tags in the prompt only, never in the negative one.
 */
export function extractLoraTags(prompt: string): TaggedPrompt {
  const loras: LoraTag[] = [];
  const ignored: string[] = [];
  const text = prompt.replace(TAG, (tag, kind: string, list: string) => {
    const lora = kind === 'lora' || kind === 'lyco' ? parseTag(list) : undefined;
    if (lora) loras.push(lora);
    else ignored.push(tag);
    return '';
  });
  return { text, loras, ignored };
}

function parseTag(list: string): LoraTag | undefined {
  const named = new Map<string, string>();
  const positional: string[] = [];
  for (const item of list.split(':')) {
    const [key = '', value, ...more] = item.split('=');
    if (value === undefined || more.length > 0) positional.push(item);
    else named.set(key, value);
  }
  const [name, te = '1', unet] = positional;
  const textEncoderWeight = number(named.get('te') ?? te);
  const unetWeight = number(named.get('unet') ?? unet ?? named.get('te') ?? te);
  if (name === undefined || Number.isNaN(textEncoderWeight) || Number.isNaN(unetWeight)) return undefined;
  return { name, textEncoderWeight, unetWeight };
}

function number(text: string): number {
  return text.trim() === '' ? NaN : Number(text);
}
