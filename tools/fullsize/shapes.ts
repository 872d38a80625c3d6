/** Name and shape of every tensor of a Stable Diffusion 1.x model, as diffusers and transformers store them, from its configuration. */
import { defined } from '../../src/core/invariant.ts';
import type { ClipTextConfig } from '../../src/models/clip.ts';
import type { UNetConfig } from '../../src/models/unetConfig.ts';
import type { VaeConfig } from '../../src/models/vae.ts';

export type Shapes = Map<string, readonly number[]>;

/** Adds the weight and the bias of a layer. */
function withBias(shapes: Shapes, name: string, ...shape: number[]): void {
  shapes.set(`${name}.weight`, shape);
  shapes.set(`${name}.bias`, shape.slice(0, 1));
}

/** Of the UNet. */
export function unetShapes(config: UNetConfig): Shapes {
  const shapes: Shapes = new Map();
  const add = (name: string, ...shape: number[]): void => withBias(shapes, name, ...shape);
  const { blockOutChannels: widths, layersPerBlock, crossAttentionDim, downAttention, upAttention } = config;
  const first = defined(widths[0]);
  const last = defined(widths.at(-1));
  const timeWidth = first * 4;

  const resnet = (name: string, from: number, to: number): void => {
    add(`${name}.norm1`, from);
    add(`${name}.conv1`, to, from, 3, 3);
    add(`${name}.time_emb_proj`, to, timeWidth);
    add(`${name}.norm2`, to);
    add(`${name}.conv2`, to, to, 3, 3);
    if (from !== to) add(`${name}.conv_shortcut`, to, from, 1, 1);
  };
  const attention = (name: string, width: number, contextWidth: number): void => {
    shapes.set(`${name}.to_q.weight`, [width, width]);
    shapes.set(`${name}.to_k.weight`, [width, contextWidth]);
    shapes.set(`${name}.to_v.weight`, [width, contextWidth]);
    add(`${name}.to_out.0`, width, width);
  };
  const transformer = (name: string, width: number): void => {
    add(`${name}.norm`, width);
    add(`${name}.proj_in`, width, width, 1, 1);
    const block = `${name}.transformer_blocks.0`;
    for (const norm of ['norm1', 'norm2', 'norm3']) add(`${block}.${norm}`, width);
    attention(`${block}.attn1`, width, width);
    attention(`${block}.attn2`, width, crossAttentionDim);
    add(`${block}.ff.net.0.proj`, width * 8, width);
    add(`${block}.ff.net.2`, width, width * 4);
    add(`${name}.proj_out`, width, width, 1, 1);
  };

  add('time_embedding.linear_1', timeWidth, first);
  add('time_embedding.linear_2', timeWidth, timeWidth);
  add('conv_in', first, config.inChannels, 3, 3);
  const skips = [first];
  widths.forEach((width, i) => {
    for (let j = 0; j < layersPerBlock; j++) {
      resnet(`down_blocks.${i}.resnets.${j}`, skips.at(-1)!, width);
      if (downAttention[i]) transformer(`down_blocks.${i}.attentions.${j}`, width);
      skips.push(width);
    }
    if (i < widths.length - 1) {
      add(`down_blocks.${i}.downsamplers.0.conv`, width, width, 3, 3);
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
    if (i < widths.length - 1) add(`up_blocks.${i}.upsamplers.0.conv`, width, width, 3, 3);
  });
  add('conv_norm_out', first);
  add('conv_out', config.outChannels, first, 3, 3);
  return shapes;
}

/** Of the VAE, encoder and decoder. */
export function vaeShapes(config: VaeConfig): Shapes {
  const shapes: Shapes = new Map();
  const add = (name: string, ...shape: number[]): void => withBias(shapes, name, ...shape);
  const { blockOutChannels: widths, layersPerBlock, latentChannels, inChannels, outChannels } = config;
  const [first, last] = [defined(widths[0]), defined(widths.at(-1))];

  const resnet = (name: string, from: number, to: number): void => {
    add(`${name}.norm1`, from);
    add(`${name}.conv1`, to, from, 3, 3);
    add(`${name}.norm2`, to);
    add(`${name}.conv2`, to, to, 3, 3);
    if (from !== to) add(`${name}.conv_shortcut`, to, from, 1, 1);
  };
  const mid = (name: string): void => {
    resnet(`${name}.resnets.0`, last, last);
    add(`${name}.attentions.0.group_norm`, last);
    for (const part of ['to_q', 'to_k', 'to_v', 'to_out.0']) add(`${name}.attentions.0.${part}`, last, last);
    resnet(`${name}.resnets.1`, last, last);
  };
  const levels = (name: string, sampler: string, outputs: readonly number[], start: number, resnets: number): void => {
    let current = start;
    outputs.forEach((width, i) => {
      for (let j = 0; j < resnets; j++) {
        resnet(`${name}.${i}.resnets.${j}`, current, width);
        current = width;
      }
      if (i < outputs.length - 1) add(`${name}.${i}.${sampler}.0.conv`, width, width, 3, 3);
    });
  };

  add('encoder.conv_in', first, inChannels, 3, 3);
  levels('encoder.down_blocks', 'downsamplers', widths, first, layersPerBlock);
  mid('encoder.mid_block');
  add('encoder.conv_norm_out', last);
  add('encoder.conv_out', 2 * latentChannels, last, 3, 3);
  add('quant_conv', 2 * latentChannels, 2 * latentChannels, 1, 1);
  add('post_quant_conv', latentChannels, latentChannels, 1, 1);
  add('decoder.conv_in', last, latentChannels, 3, 3);
  mid('decoder.mid_block');
  levels('decoder.up_blocks', 'upsamplers', widths.toReversed(), last, layersPerBlock + 1);
  add('decoder.conv_norm_out', first);
  add('decoder.conv_out', outChannels, first, 3, 3);
  return shapes;
}

/** Of the text encoder. */
export function clipShapes(config: ClipTextConfig): Shapes {
  const shapes: Shapes = new Map();
  const add = (name: string, ...shape: number[]): void => withBias(shapes, name, ...shape);
  const { hiddenSize: width, intermediateSize, hiddenLayers, maxPositions, vocabSize } = config;
  shapes.set('text_model.embeddings.token_embedding.weight', [vocabSize, width]);
  shapes.set('text_model.embeddings.position_embedding.weight', [maxPositions, width]);
  for (let i = 0; i < hiddenLayers; i++) {
    const name = `text_model.encoder.layers.${i}`;
    add(`${name}.layer_norm1`, width);
    for (const part of ['q_proj', 'k_proj', 'v_proj', 'out_proj']) add(`${name}.self_attn.${part}`, width, width);
    add(`${name}.layer_norm2`, width);
    add(`${name}.mlp.fc1`, intermediateSize, width);
    add(`${name}.mlp.fc2`, width, intermediateSize);
  }
  add('text_model.final_layer_norm', width);
  return shapes;
}
