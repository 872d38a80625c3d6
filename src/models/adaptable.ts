/**
 * Every layer of a UNet and of CLIP that an adapter may change, by its path in diffusers' and transformers' models, with its sizes: known from
 * the configs alone, so that an adapter can be read before any weight is.
 */
import { defined } from '../core/invariant.ts';
import type { KnownModule } from '../formats/lora/types.ts';
import { parseClipTextConfig, type ClipTextConfig } from './clip.ts';
import { ConfigReader } from './config.ts';
import { parseUNetConfig, type UNetConfig } from './unetConfig.ts';

type Layer = Required<KnownModule>;

function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

function layer(module: string, inFeatures: number, outFeatures: number, kernelSize = 1): Layer {
  return { module, target: 'unet', inFeatures, outFeatures, kernelSize };
}

function resnet(name: string, inputs: number, outputs: number, timeWidth: number): Layer[] {
  return [
    layer(`${name}.conv1`, inputs, outputs, 3),
    layer(`${name}.time_emb_proj`, timeWidth, outputs),
    layer(`${name}.conv2`, outputs, outputs, 3),
    ...(inputs === outputs ? [] : [layer(`${name}.conv_shortcut`, inputs, outputs)]),
  ];
}

function transformer(name: string, width: number, contextWidth: number): Layer[] {
  const block = `${name}.transformer_blocks.0`;
  const attention = (part: string, source: number): Layer[] => [
    layer(`${block}.${part}.to_q`, width, width),
    layer(`${block}.${part}.to_k`, source, width),
    layer(`${block}.${part}.to_v`, source, width),
    layer(`${block}.${part}.to_out.0`, width, width),
  ];
  return [
    layer(`${name}.proj_in`, width, width),
    ...attention('attn1', width),
    ...attention('attn2', contextWidth),
    layer(`${block}.ff.net.0.proj`, width, 8 * width),
    layer(`${block}.ff.net.2`, 4 * width, width),
    layer(`${name}.proj_out`, width, width),
  ];
}

/** The UNet's linear layers and convolutions, in the order in which they are loaded. */
export function unetModules(config: UNetConfig): Layer[] {
  const { downAttention, upAttention, layersPerBlock, blockOutChannels, crossAttentionDim } = config;
  const levels = blockOutChannels.length;
  const width = (level: number): number => defined(blockOutChannels[Math.max(0, level)]);
  const [first, last] = [width(0), width(levels - 1)];
  const time = 4 * first;
  const down = range(levels).flatMap((i) => [
    ...range(layersPerBlock).flatMap((j) => [
      ...resnet(`down_blocks.${i}.resnets.${j}`, width(j === 0 ? i - 1 : i), width(i), time),
      ...(downAttention[i] ? transformer(`down_blocks.${i}.attentions.${j}`, width(i), crossAttentionDim) : []),
    ]),
    ...(i < levels - 1 ? [layer(`down_blocks.${i}.downsamplers.0.conv`, width(i), width(i), 3)] : []),
  ]);
  // What the way down has put aside, the last first.
  const skips = [
    first,
    ...range(levels).flatMap((i) => [
      ...range(layersPerBlock).map(() => width(i)),
      ...(i < levels - 1 ? [width(i)] : []),
    ]),
  ];
  let current = last;
  const up = range(levels).flatMap((i) => {
    const outputs = width(levels - 1 - i);
    return [
      ...range(layersPerBlock + 1).flatMap((j) => {
        const inputs = current + defined(skips.pop(), 'skip');
        current = outputs;
        return [
          ...resnet(`up_blocks.${i}.resnets.${j}`, inputs, outputs, time),
          ...(upAttention[i] ? transformer(`up_blocks.${i}.attentions.${j}`, outputs, crossAttentionDim) : []),
        ];
      }),
      ...(i < levels - 1 ? [layer(`up_blocks.${i}.upsamplers.0.conv`, outputs, outputs, 3)] : []),
    ];
  });
  return [
    layer('time_embedding.linear_1', first, time),
    layer('time_embedding.linear_2', time, time),
    layer('conv_in', config.inChannels, first, 3),
    ...down,
    ...resnet('mid_block.resnets.0', last, last, time),
    ...transformer('mid_block.attentions.0', last, crossAttentionDim),
    ...resnet('mid_block.resnets.1', last, last, time),
    ...up,
    layer('conv_out', first, config.outChannels, 3),
  ];
}

/** The text encoder's linear layers, in the order in which they are loaded. */
export function clipModules({ hiddenLayers, hiddenSize, intermediateSize }: ClipTextConfig): Layer[] {
  return range(hiddenLayers).flatMap((i) => {
    const name = `text_model.encoder.layers.${i}`;
    return [
      ...['q_proj', 'k_proj', 'v_proj', 'out_proj'].map((part) =>
        layer(`${name}.self_attn.${part}`, hiddenSize, hiddenSize),
      ),
      layer(`${name}.mlp.fc1`, hiddenSize, intermediateSize),
      layer(`${name}.mlp.fc2`, intermediateSize, hiddenSize),
    ].map((known): Layer => ({ ...known, target: 'textEncoder' }));
  });
}

/** The layers of Stable Diffusion 1.5, for files that are read without a model. */
export function sd15Modules(): Layer[] {
  const unet = new ConfigReader('SD1.5', { _class_name: 'UNet2DConditionModel', cross_attention_dim: 768 });
  const text = new ConfigReader('SD1.5', {
    hidden_size: 768,
    num_hidden_layers: 12,
    intermediate_size: 3072,
    num_attention_heads: 12,
  });
  return [...unetModules(parseUNetConfig(unet)), ...clipModules(parseClipTextConfig(text))];
}

/** The same by name alone, so that a file for a smaller model of this structure is read too. */
export function sd15ModuleNames(): KnownModule[] {
  return sd15Modules().map(({ module, target, kernelSize }) => ({ module, target, kernelSize }));
}
