/**
 * Which layers a LoRA trains. The sets are those of kohya's networks/lora.py: its plain LoRA trains every projection of the UNet's
 * transformers, LoCon (`conv_dim`) the resnets and the changes of size besides; conv_in and conv_out are never trained. diffusers' scripts
 * train the attention alone.
 */
import { modulesOf } from './merge.ts';
import type { LoraTarget } from '../formats/lora/types.ts';
import type { AdaptableLayer } from '../nn/weights.ts';

/** A set of layers by what they do. `attention` and `feedForward` exist in the UNet and in the text encoder, the others in the UNet only. */
export type TargetKind = 'attention' | 'feedForward' | 'projections' | 'convolutions';

const patterns: Readonly<Record<LoraTarget, Readonly<Partial<Record<TargetKind, RegExp>>>>> = {
  unet: {
    attention: /\.attn[12]\.to_(q|k|v|out\.0)$/,
    feedForward: /\.ff\.net\.(0\.proj|2)$/,
    projections: /\.attentions\.\d+\.proj_(in|out)$/,
    convolutions: /\.resnets\.\d+\.(conv1|conv2|conv_shortcut|time_emb_proj)$|\.(down|up)samplers\.0\.conv$/,
  },
  textEncoder: {
    attention: /\.self_attn\.(q|k|v|out)_proj$/,
    feedForward: /\.mlp\.fc[12]$/,
  },
};

/** Whether `kinds` name a layer of this part of the model, given by its path. */
export function isTarget(module: string, part: LoraTarget, kinds: readonly TargetKind[]): boolean {
  return kinds.some((kind) => patterns[part][kind]?.test(module));
}

/** Those of `layers`, all of one part of a model, that `kinds` name; in their order. */
export function targetLayers<T extends AdaptableLayer>(
  layers: readonly T[],
  part: LoraTarget,
  kinds: readonly TargetKind[],
): T[] {
  return layers.filter((layer) => modulesOf(layer).some((module) => isTarget(module, part, kinds)));
}
