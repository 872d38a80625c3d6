// Plan: names that anyone can look up in SD1.5's single file, for each part of the model; over the tiny model's files no two tensors get one
// name, and as many input and output blocks come out as there are.
import { describe, expect, test } from 'vitest';
import { fixtureSafetensors } from '../../tools/testing.ts';
import { ldmName, ldmTensorShape, type Component, type LdmShape } from './ldmNames.ts';

const sd15: LdmShape = { layersPerBlock: 2, upAttention: [false, true, true, true], vaeLevels: 4 };

describe('names', () => {
  test.each<[Component, string, string]>([
    ['unet', 'conv_in.weight', 'model.diffusion_model.input_blocks.0.0.weight'],
    ['unet', 'time_embedding.linear_2.bias', 'model.diffusion_model.time_embed.2.bias'],
    ['unet', 'down_blocks.0.resnets.1.conv1.weight', 'model.diffusion_model.input_blocks.2.0.in_layers.2.weight'],
    ['unet', 'down_blocks.0.downsamplers.0.conv.weight', 'model.diffusion_model.input_blocks.3.0.op.weight'],
    [
      'unet',
      'down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q.weight',
      'model.diffusion_model.input_blocks.4.1.transformer_blocks.0.attn1.to_q.weight',
    ],
    ['unet', 'down_blocks.3.resnets.1.time_emb_proj.bias', 'model.diffusion_model.input_blocks.11.0.emb_layers.1.bias'],
    ['unet', 'mid_block.attentions.0.proj_in.weight', 'model.diffusion_model.middle_block.1.proj_in.weight'],
    ['unet', 'mid_block.resnets.1.norm2.weight', 'model.diffusion_model.middle_block.2.out_layers.0.weight'],
    [
      'unet',
      'up_blocks.0.resnets.0.conv_shortcut.weight',
      'model.diffusion_model.output_blocks.0.0.skip_connection.weight',
    ],
    ['unet', 'up_blocks.0.upsamplers.0.conv.weight', 'model.diffusion_model.output_blocks.2.1.conv.weight'],
    ['unet', 'up_blocks.1.upsamplers.0.conv.weight', 'model.diffusion_model.output_blocks.5.2.conv.weight'],
    ['unet', 'up_blocks.3.attentions.2.norm.weight', 'model.diffusion_model.output_blocks.11.1.norm.weight'],
    ['unet', 'conv_norm_out.weight', 'model.diffusion_model.out.0.weight'],
    [
      'vae',
      'encoder.down_blocks.1.resnets.0.conv_shortcut.weight',
      'first_stage_model.encoder.down.1.block.0.nin_shortcut.weight',
    ],
    ['vae', 'encoder.down_blocks.2.downsamplers.0.conv.bias', 'first_stage_model.encoder.down.2.downsample.conv.bias'],
    ['vae', 'decoder.up_blocks.0.resnets.2.norm1.weight', 'first_stage_model.decoder.up.3.block.2.norm1.weight'],
    ['vae', 'decoder.up_blocks.2.upsamplers.0.conv.weight', 'first_stage_model.decoder.up.1.upsample.conv.weight'],
    ['vae', 'decoder.mid_block.attentions.0.query.weight', 'first_stage_model.decoder.mid.attn_1.q.weight'],
    ['vae', 'decoder.mid_block.attentions.0.to_out.0.bias', 'first_stage_model.decoder.mid.attn_1.proj_out.bias'],
    ['vae', 'encoder.mid_block.resnets.1.conv2.weight', 'first_stage_model.encoder.mid.block_2.conv2.weight'],
    ['vae', 'encoder.conv_norm_out.weight', 'first_stage_model.encoder.norm_out.weight'],
    ['vae', 'quant_conv.weight', 'first_stage_model.quant_conv.weight'],
    [
      'text_encoder',
      'text_model.final_layer_norm.bias',
      'cond_stage_model.transformer.text_model.final_layer_norm.bias',
    ],
  ])('%s %s', (component, name, expected) => {
    expect(ldmName(component, name, sd15)).toBe(expected);
  });

  test('the whole tiny model: no two tensors under one name', async () => {
    const names: string[] = [];
    for (const [component, file] of [
      ['unet', 'unet/diffusion_pytorch_model'],
      ['vae', 'vae/diffusion_pytorch_model'],
      ['text_encoder', 'text_encoder/model'],
    ] as const) {
      const weights = await fixtureSafetensors(`sd15-tiny/model/${file}.fp16.safetensors`);
      names.push(...weights.names().map((name) => ldmName(component, name, sd15)));
    }
    expect(new Set(names).size).toBe(names.length);
    const blocks = (way: string): Set<string> =>
      new Set(names.flatMap((name) => new RegExp(`\\.(${way}_blocks\\.\\d+)\\.`).exec(name)?.[1] ?? []));
    expect([blocks('input').size, blocks('output').size]).toEqual([12, 12]);
  });
});

test("the VAE's attention projections are 1x1 convolutions in a single file", () => {
  expect(ldmTensorShape('vae', 'encoder.mid_block.attentions.0.to_q.weight', [64, 64])).toEqual([64, 64, 1, 1]);
  expect(ldmTensorShape('vae', 'encoder.mid_block.attentions.0.to_q.bias', [64])).toEqual([64]);
  expect(ldmTensorShape('vae', 'encoder.mid_block.attentions.0.group_norm.weight', [64])).toEqual([64]);
  expect(ldmTensorShape('unet', 'mid_block.attentions.0.transformer_blocks.0.attn1.to_q.weight', [64, 64])).toEqual([
    64, 64,
  ]);
});
