/** Stable Diffusion 1.5's UNet as a shape: its configuration and zeros for weights, so that no download is needed. */
import { defined } from '../src/core/invariant.ts';
import { ConfigReader } from '../src/models/config.ts';
import { parseUNetConfig, type UNetConfig } from '../src/models/unet.ts';
import type { WeightReader } from '../src/nn/weights.ts';

/** unet/config.json of stable-diffusion-v1-5, as far as it differs from diffusers' defaults. */
export const sd15Config: UNetConfig = parseUNetConfig(
  new ConfigReader('stable-diffusion-v1-5/unet/config.json', {
    _class_name: 'UNet2DConditionModel',
    attention_head_dim: 8,
    block_out_channels: [320, 640, 1280, 1280],
    cross_attention_dim: 768,
    down_block_types: ['CrossAttnDownBlock2D', 'CrossAttnDownBlock2D', 'CrossAttnDownBlock2D', 'DownBlock2D'],
    layers_per_block: 2,
    sample_size: 64,
    up_block_types: ['UpBlock2D', 'CrossAttnUpBlock2D', 'CrossAttnUpBlock2D', 'CrossAttnUpBlock2D'],
  }),
);

/** Name and shape of every tensor that diffusers stores for a UNet of this configuration. */
export function unetShapes(config: UNetConfig): Map<string, readonly number[]> {
  const shapes = new Map<string, readonly number[]>();
  const withBias = (name: string, ...shape: number[]): void => {
    shapes.set(`${name}.weight`, shape);
    shapes.set(`${name}.bias`, shape.slice(0, 1));
  };
  const { blockOutChannels: widths, layersPerBlock, crossAttentionDim, downAttention, upAttention } = config;
  const first = defined(widths[0]);
  const last = defined(widths.at(-1));
  const timeWidth = first * 4;

  const resnet = (name: string, from: number, to: number): void => {
    withBias(`${name}.norm1`, from);
    withBias(`${name}.conv1`, to, from, 3, 3);
    withBias(`${name}.time_emb_proj`, to, timeWidth);
    withBias(`${name}.norm2`, to);
    withBias(`${name}.conv2`, to, to, 3, 3);
    if (from !== to) withBias(`${name}.conv_shortcut`, to, from, 1, 1);
  };
  const attention = (name: string, width: number, contextWidth: number): void => {
    shapes.set(`${name}.to_q.weight`, [width, width]);
    shapes.set(`${name}.to_k.weight`, [width, contextWidth]);
    shapes.set(`${name}.to_v.weight`, [width, contextWidth]);
    withBias(`${name}.to_out.0`, width, width);
  };
  const transformer = (name: string, width: number): void => {
    withBias(`${name}.norm`, width);
    withBias(`${name}.proj_in`, width, width, 1, 1);
    const block = `${name}.transformer_blocks.0`;
    for (const norm of ['norm1', 'norm2', 'norm3']) withBias(`${block}.${norm}`, width);
    attention(`${block}.attn1`, width, width);
    attention(`${block}.attn2`, width, crossAttentionDim);
    withBias(`${block}.ff.net.0.proj`, width * 8, width);
    withBias(`${block}.ff.net.2`, width, width * 4);
    withBias(`${name}.proj_out`, width, width, 1, 1);
  };

  withBias('time_embedding.linear_1', timeWidth, first);
  withBias('time_embedding.linear_2', timeWidth, timeWidth);
  withBias('conv_in', first, config.inChannels, 3, 3);
  const skips = [first];
  widths.forEach((width, i) => {
    for (let j = 0; j < layersPerBlock; j++) {
      resnet(`down_blocks.${i}.resnets.${j}`, skips.at(-1)!, width);
      if (downAttention[i]) transformer(`down_blocks.${i}.attentions.${j}`, width);
      skips.push(width);
    }
    if (i < widths.length - 1) {
      withBias(`down_blocks.${i}.downsamplers.0.conv`, width, width, 3, 3);
      skips.push(width);
    }
  });
  resnet('mid_block.resnets.0', last, last);
  transformer('mid_block.attentions.0', last);
  resnet('mid_block.resnets.1', last, last);
  let current = last;
  widths.toReversed().forEach((width, i) => {
    for (let j = 0; j <= layersPerBlock; j++) {
      resnet(`up_blocks.${i}.resnets.${j}`, current + defined(skips.pop()), width);
      if (upAttention[i]) transformer(`up_blocks.${i}.attentions.${j}`, width);
      current = width;
    }
    if (i < widths.length - 1) withBias(`up_blocks.${i}.upsamplers.0.conv`, width, width, 3, 3);
  });
  withBias('conv_norm_out', first);
  withBias('conv_out', config.outChannels, first, 3, 3);
  return shapes;
}

/** Reads zeros of the given shapes; one tensor at a time is in memory. */
export function zeroWeights(shapes: ReadonlyMap<string, readonly number[]>): WeightReader {
  const size = (name: string): number => defined(shapes.get(name), name).reduce((a, b) => a * b, 1);
  return {
    has: (name) => shapes.has(name),
    info: (name) => ({ shape: defined(shapes.get(name), name), dtype: 'F16' }),
    readFloat16: async (name) => new Uint16Array(size(name)),
    readFloat32: async (name) => new Float32Array(size(name)),
    readBytes: async (_name, { start, end }) => new Uint8Array(end - start),
  };
}
