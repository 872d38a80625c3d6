/**
 * The names of tensors in LoRA files: which layer of which part of the model they belong to, and which of its matrices they are.
 *
 *   kohya           lora_unet_down_blocks_0_..._attn1_to_q.lora_down.weight     (dots are underscores: the layer's path is ambiguous)
 *   diffusers       unet.down_blocks.0...attn1.to_q.lora.down.weight, text_encoder....lora_linear_layer.down.weight
 *   diffusers, old  down_blocks.0...attn1.processor.to_q_lora.down.weight
 *   PEFT            base_model.model.down_blocks.0...attn1.to_q.lora_A.weight
 */
import type { LoraForm, LoraTarget } from './types.ts';

export type LoraPart = 'down' | 'up' | 'alpha';

export interface LoraKey {
  readonly form: LoraForm;
  readonly target: LoraTarget;
  /** The layer's path with every dot as an underscore: what the form with the least says, and enough to find it among known ones. */
  readonly flattened: string;
  /** The file's own name of the layer, for messages. */
  readonly label: string;
  readonly part: LoraPart;
}

const KOHYA = /^lora_(unet|te1?)_(.+)\.(lora_down\.weight|lora_up\.weight|alpha)$/;
const DOTTED = /^(.+)\.(?:lora(?:_linear_layer)?\.(down|up)|lora_([AB])(?:\.\w+)?)\.weight$/;
const DOTTED_ALPHA = /^(.+)\.alpha$/;
const OLD_PROCESSOR = /\.processor\.(to_[qkv]|to_out)_lora$/;
const OLD_DIFFUSERS = /^(.+\.processor\.to_(?:[qkv]|out)_lora)\.(down|up)\.weight$/;

/** Kinds of adapters that are known and not supported, by what the names of their tensors contain. */
const OTHER_KINDS: readonly (readonly [RegExp, string])[] = [
  [/\.dora_scale$|lora_magnitude_vector/, 'DoRA'],
  [/\.hada_[wt]/, 'LoHa'],
  [/\.lokr_[wt]/, 'LoKr'],
  [/\.lora_mid\.weight$/, 'LoCon with a CP decomposition'],
  [/\.oft_|\.oft_blocks$/, 'OFT'],
  [/\.(on_input|ia3_l)$|\.ia3_/, 'IA3'],
  [/\.diff(_b)?$/, 'full-weight difference'],
];

/** The kind of adapter that a tensor of this name belongs to, if it is one that is not supported. */
export function unsupportedKind(name: string): string | undefined {
  return OTHER_KINDS.find(([pattern]) => pattern.test(name))?.[1];
}

/** Whether a tensor of this name belongs to a LoRA for Stable Diffusion XL. */
export function isSdxlKey(name: string): boolean {
  return /^lora_te2_|^text_encoder_2\.|^lora_unet_(input_blocks|middle_block|output_blocks)_/.test(name);
}

export function flatten(path: string): string {
  return path.replaceAll('.', '_');
}

function partOf(word: string): LoraPart {
  if (/down|^A$/.test(word)) return 'down';
  return /up|^B$/.test(word) ? 'up' : 'alpha';
}

/** Splits the path of a dotted name into the part of the model and the layer's own path. */
function dotted(path: string): { readonly form: LoraForm; readonly target: LoraTarget; readonly layer: string } {
  const peft = path.replace(/^base_model\.model\./, '');
  const layer = peft.replace(/^(unet|text_encoder)\./, '').replace(OLD_PROCESSOR, '.$1');
  const isText = peft.startsWith('text_encoder.') || /^(text_model\.)?encoder\.layers\./.test(layer);
  return {
    form: peft === path ? 'diffusers' : 'peft',
    target: isText ? 'textEncoder' : 'unet',
    // Old files say to_out_lora for the projection that is to_out.0; transformers from 5.6 on leaves text_model out.
    layer: isText ? layer.replace(/^encoder\./, 'text_model.encoder.') : layer.replace(/\.to_out$/, '.to_out.0'),
  };
}

/** Takes a tensor's name apart; undefined if it is of no form that is known. */
export function parseLoraKey(name: string): LoraKey | undefined {
  const kohya = KOHYA.exec(name);
  if (kohya) {
    const [, part, flattened, word] = kohya as unknown as [string, string, string, string];
    const label = `lora_${part}_${flattened}`;
    return { form: 'kohya', target: part === 'unet' ? 'unet' : 'textEncoder', flattened, label, part: partOf(word) };
  }
  const match = OLD_DIFFUSERS.exec(name) ?? DOTTED.exec(name) ?? DOTTED_ALPHA.exec(name);
  if (!match?.[1]) return undefined;
  const { form, target, layer } = dotted(match[1]);
  return { form, target, flattened: flatten(layer), label: match[1], part: partOf(match[2] ?? match[3] ?? 'alpha') };
}
