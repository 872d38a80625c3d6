/**
 * Which layers a LoRA trains and how fast. The sets are those of kohya's networks/lora.py: its plain LoRA trains every projection of the
 * UNet's transformers, LoCon (`conv_dim`) the ResNet blocks and the changes of size besides; neither trains conv_in, conv_out or the time
 * embedding. diffusers' scripts train the attention alone.
 */
import type { TargetOptions, TrainOptions } from '../core/trainOptions.ts';
import type { LoraTarget } from '../formats/lora/types.ts';

type TargetKind = keyof TargetOptions;

const patterns: Readonly<Record<LoraTarget, Readonly<Partial<Record<TargetKind, RegExp>>>>> = {
  unet: {
    attention: /\.attn[12]\.to_(q|k|v|out\.0)$/,
    feedForward: /\.ff\.net\.(0\.proj|2)$/,
    projections: /\.attentions\.\d+\.proj_(in|out)$/,
    convolutions: /\.resnets\.\d+\.(conv1|conv2|conv_shortcut|time_emb_proj)$|\.(down|up)samplers\.0\.conv$/,
  },
  // The text encoder's attention is trained whenever the text encoder is; its MLPs where feed-forward layers are.
  textEncoder: { attention: /\.self_attn\.(q|k|v|out)_proj$/, feedForward: /\.mlp\.fc[12]$/ },
};

export type TrainedPart = Pick<TrainOptions, 'targets' | 'textEncoder' | 'blockLearningRates' | 'learningRate'>;

/** Whether a layer, given by its path in diffusers' or transformers' model, is trained. */
export function isTrained(module: string, part: LoraTarget, options: TrainedPart): boolean {
  const { targets, textEncoder } = options;
  if (part === 'textEncoder' && !textEncoder.train) return false;
  const wanted = part === 'textEncoder' ? { ...targets, attention: true } : targets;
  const kinds = Object.keys(patterns[part]) as TargetKind[];
  return (
    kinds.some((kind) => wanted[kind] && patterns[part][kind]!.test(module)) &&
    learningRateMultiplier(module, part, options) > 0
  );
}

/** What a layer's learning rate is in terms of the run's: its block's factor, or for the text encoder its own rate. */
export function learningRateMultiplier(
  module: string,
  part: LoraTarget,
  { blockLearningRates, textEncoder, learningRate }: TrainedPart,
): number {
  if (part === 'textEncoder') return textEncoder.learningRate / learningRate;
  const fitting = Object.keys(blockLearningRates).filter((path) => module === path || module.startsWith(`${path}.`));
  const longest = fitting.reduce((best, path) => (path.length > best.length ? path : best), '');
  return blockLearningRates[longest] ?? 1;
}
