/** unet/config.json of Stable Diffusion 1.x. */
import { UnsupportedModelError, type ConfigReader } from './config.ts';

export interface UNetConfig {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly blockOutChannels: readonly number[];
  /** For each level: whether it has transformers. */
  readonly downAttention: readonly boolean[];
  readonly upAttention: readonly boolean[];
  readonly layersPerBlock: number;
  readonly crossAttentionDim: number;
  /** Attention heads of each level. */
  readonly heads: readonly number[];
  readonly normGroups: number;
  readonly normEpsilon: number;
  readonly flipSinToCos: boolean;
  readonly freqShift: number;
  /** Side of the latents the model was trained on, in latent pixels. */
  readonly sampleSize: number;
}

/** Reads unet/config.json. Whatever Stable Diffusion 1.x does not use is refused by name rather than ignored. */
export function parseUNetConfig(config: ConfigReader): UNetConfig {
  config.require('_class_name', ['UNet2DConditionModel']);
  config.require('act_fn', ['silu']);
  config.require('downsample_padding', [1]);
  config.require('center_input_sample', [false]);
  config.require('mid_block_scale_factor', [1]);
  config.require('mid_block_type', ['UNetMidBlock2DCrossAttn']);
  config.require('dual_cross_attention', [false]);
  config.require('only_cross_attention', [false]);
  config.require('resnet_time_scale_shift', ['default']);
  config.require('time_embedding_type', ['positional']);
  config.require('conv_in_kernel', [3]);
  config.require('conv_out_kernel', [3]);
  config.require('transformer_layers_per_block', [1]);
  for (const name of [
    'class_embed_type',
    'addition_embed_type',
    'encoder_hid_dim_type',
    'time_cond_proj_dim',
    'num_class_embeds',
  ]) {
    config.require(name, []);
  }
  const blockOutChannels = config.numbers('block_out_channels', [320, 640, 1280, 1280]);
  const levels = blockOutChannels.length;
  const kinds = (name: string, withAttention: string, without: string, fallback: readonly string[]): boolean[] => {
    const types = config.strings(name, fallback);
    return types.map((type) => {
      if (type !== withAttention && type !== without)
        throw new UnsupportedModelError(config.where, `"${name}": "${type}"`);
      return type === withAttention;
    });
  };
  const plainLast = Array.from({ length: levels }, (_, i) => (i < levels - 1 ? 'CrossAttnDownBlock2D' : 'DownBlock2D'));
  // diffusers calls the number of heads `attention_head_dim` in these models (its documented naming error).
  const headsField =
    config.raw('num_attention_heads') === undefined || config.raw('num_attention_heads') === null
      ? 'attention_head_dim'
      : 'num_attention_heads';
  const heads = Array.isArray(config.raw(headsField))
    ? config.numbers(headsField)
    : Array.from({ length: levels }, () => config.number(headsField, 8));
  return {
    inChannels: config.number('in_channels', 4),
    outChannels: config.number('out_channels', 4),
    blockOutChannels,
    downAttention: kinds('down_block_types', 'CrossAttnDownBlock2D', 'DownBlock2D', plainLast),
    upAttention: kinds(
      'up_block_types',
      'CrossAttnUpBlock2D',
      'UpBlock2D',
      plainLast.map((type) => type.replace('Down', 'Up')).reverse(),
    ),
    layersPerBlock: config.number('layers_per_block', 2),
    crossAttentionDim: config.number('cross_attention_dim', 1280),
    heads,
    normGroups: config.number('norm_num_groups', 32),
    normEpsilon: config.number('norm_eps', 1e-5),
    flipSinToCos: config.boolean('flip_sin_to_cos', true),
    freqShift: config.number('freq_shift', 0),
    sampleSize: config.number('sample_size', 64),
  };
}
