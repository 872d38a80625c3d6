// Plan: config.json is read with its odd names and defaults; what is not Stable Diffusion 1.x is refused by name; the list of
// adaptable layers follows from the config alone.
import { describe, expect, test } from 'vitest';
import { ConfigReader, ModelConfigError, UnsupportedModelError } from './config.ts';
import { parseUNetConfig } from './unetConfig.ts';

const sd15 = {
  _class_name: 'UNet2DConditionModel',
  act_fn: 'silu',
  attention_head_dim: 8,
  block_out_channels: [320, 640, 1280, 1280],
  cross_attention_dim: 768,
  down_block_types: ['CrossAttnDownBlock2D', 'CrossAttnDownBlock2D', 'CrossAttnDownBlock2D', 'DownBlock2D'],
  up_block_types: ['UpBlock2D', 'CrossAttnUpBlock2D', 'CrossAttnUpBlock2D', 'CrossAttnUpBlock2D'],
  layers_per_block: 2,
  sample_size: 64,
};

const parse = (changes: Record<string, unknown> = {}): ReturnType<typeof parseUNetConfig> =>
  parseUNetConfig(new ConfigReader('repo/unet/config.json', { ...sd15, ...changes }));

describe('parseUNetConfig', () => {
  test('attention_head_dim is the number of heads', () => {
    expect(parse().heads).toEqual([8, 8, 8, 8]);
    expect(parse({ attention_head_dim: [5, 10, 20, 20] }).heads).toEqual([5, 10, 20, 20]);
    expect(parse({ num_attention_heads: 4 }).heads).toEqual([4, 4, 4, 4]);
  });

  test('defaults', () => {
    const { inChannels, normGroups, normEpsilon, flipSinToCos, freqShift } = parse();
    expect({ inChannels, normGroups, normEpsilon, flipSinToCos, freqShift }).toEqual({
      inChannels: 4,
      normGroups: 32,
      normEpsilon: 1e-5,
      flipSinToCos: true,
      freqShift: 0,
    });
  });

  test.each([
    [
      'SDXL',
      { addition_embed_type: 'text_time' },
      'repo/unet/config.json: "addition_embed_type": "text_time" is not supported.',
    ],
    ['another activation', { act_fn: 'gelu' }, 'repo/unet/config.json: "act_fn": "gelu" is not supported.'],
    [
      'another block',
      { down_block_types: ['AttnDownBlock2D'] },
      'repo/unet/config.json: "down_block_types": "AttnDownBlock2D" is not supported.',
    ],
    [
      'a video UNet',
      { _class_name: 'UNetSpatioTemporalConditionModel' },
      'repo/unet/config.json: "_class_name": "UNetSpatioTemporalConditionModel" is not supported.',
    ],
  ])('refuses %s', (_name, changes, message) => {
    expect(() => parse(changes)).toThrow(UnsupportedModelError);
    expect(() => parse(changes)).toThrow(message);
  });

  test('a field of the wrong type', () => {
    expect(() => parse({ layers_per_block: 'two' })).toThrow(ModelConfigError);
    expect(() => parse({ layers_per_block: 'two' })).toThrow(
      'repo/unet/config.json: the field "layers_per_block" should be a number.',
    );
  });
});
