/**
 * The names of tensors in LoRA files: which layer of which part of the model they belong to, and which of its matrices they are.
 *
 *   kohya           lora_unet_down_blocks_0_..._attn1_to_q.lora_down.weight     (dots are underscores: the layer's path is ambiguous)
 *   diffusers       unet.down_blocks.0...attn1.to_q.lora.down.weight, text_encoder....lora_linear_layer.down.weight
 *   diffusers, old  down_blocks.0...attn1.processor.to_q_lora.down.weight
 *   PEFT            base_model.model.down_blocks.0...attn1.to_q.lora_A.weight
 *
 * LyCORIS (LoCon, LoHa, LoKr, full differences) has kohya's names with other last parts; PEFT has LoHa and LoKr under its own.
 */
import type { LoraForm, LoraTarget } from './types.ts';

/** LyCORIS' names of its matrices, which are the same in every form. */
const LYCORIS =
  'hada_w1_a|hada_w1_b|hada_w2_a|hada_w2_b|hada_t1|hada_t2|lokr_w1|lokr_w1_a|lokr_w1_b|lokr_w2|lokr_w2_a|lokr_w2_b|lokr_t2';

/** A tensor's part in its layer: `down`, `up`, `mid`, `alpha`, `magnitude` (DoRA), `diff`, `diff_b`, or a name of LyCORIS. */
export type LoraPart = string;

export interface LoraKey {
  readonly form: LoraForm;
  readonly target: LoraTarget;
  /** The layer's path with every dot as an underscore: what the form with the least says, and enough to find it among known ones. */
  readonly flattened: string;
  /** The file's own name of the layer, for messages. */
  readonly label: string;
  readonly part: LoraPart;
}

const KOHYA = new RegExp(
  `^lora_(unet|te1?)_([^.]+)\\.(?:lora_(down|up|mid)\\.weight|(alpha|dora_scale|diff_b|diff|${LYCORIS}))$`,
);
const DOTTED = /^(.+)\.(?:lora(?:_linear_layer)?\.(down|up)|lora_([AB])(?:\.\w+)?)\.weight$/;
const DOTTED_OTHER = new RegExp(
  `^(.+)\\.(?:(alpha|dora_scale|${LYCORIS})|(lora_magnitude_vector)(?:\\.\\w+)?(?:\\.weight)?)$`,
);
const OLD_PROCESSOR = /\.processor\.(to_[qkv]|to_out)_lora$/;
const OLD_DIFFUSERS = /^(.+\.(?:processor|self_attn)\.to_(?:[qkv]|out)_lora)\.(down|up)\.weight$/;
const OLD_TEXT = /\.self_attn\.to_([qkv]|out)_lora$/;

const PARTS: Readonly<Record<string, LoraPart>> = {
  A: 'down',
  B: 'up',
  dora_scale: 'magnitude',
  lora_magnitude_vector: 'magnitude',
};

/** Kinds of adapters that are known and not supported, by what the names of their tensors contain. */
const OTHER_KINDS: readonly (readonly [RegExp, string])[] = [
  [/\.oft_|\.oft_blocks$|\.oft_diag$/, 'OFT'],
  [/\.(on_input|ia3_l)$|\.ia3_/, 'IA3'],
  [/\.vera_lambda_/, 'VeRA'],
  [/\.glora_|\.(a1|a2|b1|b2)\.weight$/, 'GLoRA'],
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

/** Splits the path of a dotted name into the part of the model and the layer's own path. */
function dotted(path: string): { readonly form: LoraForm; readonly target: LoraTarget; readonly layer: string } {
  const peft = path.replace(/^base_model\.model\./, '');
  const layer = peft.replace(/^(unet|text_encoder)\./, '').replace(OLD_PROCESSOR, '.$1');
  const isText = peft.startsWith('text_encoder.') || /^(text_model\.)?encoder\.layers\./.test(layer);
  return {
    form: peft === path ? 'diffusers' : 'peft',
    target: isText ? 'textEncoder' : 'unet',
    // Old files say to_out_lora for the projection that is to_out.0; transformers from 5.6 on leaves text_model out.
    layer: isText
      ? layer.replace(/^encoder\./, 'text_model.encoder.').replace(OLD_TEXT, '.self_attn.$1_proj')
      : layer.replace(/\.to_out$/, '.to_out.0'),
  };
}

/** Takes a tensor's name apart; undefined if it is of no form that is known. */
export function parseLoraKey(name: string): LoraKey | undefined {
  const kohya = KOHYA.exec(name);
  if (kohya) {
    const [, part = '', flattened = '', matrix, other = ''] = kohya;
    const target = part === 'unet' ? 'unet' : 'textEncoder';
    return {
      form: 'kohya',
      target,
      flattened,
      label: `lora_${part}_${flattened}`,
      part: matrix ?? PARTS[other] ?? other,
    };
  }
  const match = OLD_DIFFUSERS.exec(name) ?? DOTTED.exec(name) ?? DOTTED_OTHER.exec(name);
  if (!match?.[1]) return undefined;
  const { form, target, layer } = dotted(match[1]);
  const word = match[2] ?? match[3] ?? '';
  return { form, target, flattened: flatten(layer), label: match[1], part: PARTS[word] ?? word };
}
