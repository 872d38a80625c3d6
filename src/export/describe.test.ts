// Plan: the oracle's files in words (form, kinds, ranks, alphas, layers, norm), the same norm from every form of one adapter; files that are
// no LoRA, or broken, say why.
import { describe, expect, test } from 'vitest';
import { fixtureSafetensors } from '../../tools/testing.ts';
import { bytesSource } from '../core/files.ts';
import { writeKohyaLora } from '../formats/lora/kohya.ts';
import { readLora } from '../formats/lora/readLora.ts';
import { encodeSafetensors, openSafetensors, type TensorToWrite } from '../formats/safetensors.ts';
import { sd15Modules } from '../models/adaptable.ts';
import { describeLora, type LoraDescription } from './describe.ts';

const names = sd15Modules().map(({ module, target, kernelSize }) => ({ module, target, kernelSize }));

async function described(path: string): Promise<LoraDescription> {
  return describeLora(await fixtureSafetensors(`sd15-tiny/${path}.safetensors`), names);
}

async function ofTensors(shapes: Readonly<Record<string, readonly number[]>>): Promise<LoraDescription> {
  const tensors = Object.entries(shapes).map(([name, shape]): TensorToWrite => {
    const data = new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(1);
    return { name, dtype: 'F32', shape, data };
  });
  return describeLora(await openSafetensors(bytesSource('x', encodeSafetensors(tensors))), names);
}

describe('LoRA files', () => {
  test('a LoCon', async () => {
    expect(await described('lora/kohya/locon')).toMatchObject({
      form: 'kohya',
      kinds: ['LoRA', 'LoCon'],
      tensors: 294,
      dtypes: ['F32'],
      ranks: [2],
      alphas: [1],
      unetModules: 98,
      textEncoderModules: 0,
      problem: null,
      unmatched: [],
    });
  });

  test("A1111's hash, and whether the header's still holds", async () => {
    const { modules } = await readLora(await fixtureSafetensors('sd15-tiny/lora/kohya/unet.safetensors'), names);
    const bytes = writeKohyaLora(modules, {}, 'F32');
    const describeBytes = async (data: Uint8Array<ArrayBuffer>): Promise<LoraDescription> =>
      describeLora(await openSafetensors(bytesSource('x', data)), names);
    const { metadata } = await openSafetensors(bytesSource('x', bytes));
    const written = await describeBytes(bytes);
    expect([written.hash, written.isIntact]).toEqual([metadata['sshs_model_hash']!.slice(0, 12), true]);
    const damaged = bytes.slice();
    damaged[bytes.length - 2]! ^= 1;
    expect((await describeBytes(damaged)).isIntact).toBe(false);
    expect((await described('lora/kohya/locon')).isIntact).toBeNull();
  });

  test('one adapter in two forms has one norm; layers by kind', async () => {
    const [kohya, diffusers] = [await described('lora/kohya/unet_te'), await described('lora/diffusers/unet_te')];
    expect([kohya.form, diffusers.form]).toEqual(['kohya', 'diffusers']);
    expect(kohya.norm).toBeCloseTo(diffusers.norm!, 4);
    expect([kohya.unetModules, kohya.textEncoderModules]).toEqual([128, 12]);
    expect(kohya.targets.slice(0, 4)).toEqual(['attn1.to_k', 'attn1.to_out.0', 'attn1.to_q', 'attn1.to_v']);
    expect(kohya.targets.slice(-1)).toEqual(['self_attn.v_proj']);
  });

  test('the norm of a layer of ones: alpha / rank * rank times the square root of its size', async () => {
    const { norm, kinds } = await ofTensors({
      'lora_unet_mid_block_attentions_0_proj_in.lora_down.weight': [2, 6],
      'lora_unet_mid_block_attentions_0_proj_in.lora_up.weight': [8, 2],
      'lora_unet_mid_block_attentions_0_proj_in.alpha': [],
      'lora_unet_mid_block_attentions_0_proj_in.dora_scale': [8, 1],
    });
    expect(kinds).toEqual(['LoRA', 'DoRA']);
    expect(norm).toBeCloseTo(Math.sqrt(48), 5);
  });

  test.each<[string, Record<string, readonly number[]>, readonly string[]]>([
    ['LoHa', { hada_w1_a: [8, 2], hada_w1_b: [2, 6], hada_w2_a: [8, 2], hada_w2_b: [2, 6] }, ['proj_out']],
    ['LoKr', { lokr_w1: [2, 2], lokr_w2: [4, 3] }, ['proj_out']],
    ['full difference', { diff: [8, 6] }, ['proj_out']],
  ])('%s', async (kind, shapes, targets) => {
    const layer = 'lora_unet_mid_block_attentions_0_proj_out';
    const found = await ofTensors(
      Object.fromEntries(Object.entries(shapes).map(([part, shape]) => [`${layer}.${part}`, shape])),
    );
    expect(found).toMatchObject({ kinds: [kind], targets, problem: null });
    expect(found.norm).toBeGreaterThan(0);
  });
});

describe('other files', () => {
  test("a model's weights", async () => {
    const found = await described('model/text_encoder/model.fp16');
    expect(found).toMatchObject({ form: 'no LoRA', kinds: [], ranks: [], norm: null, dtypes: ['F16', 'I64'] });
    expect(found.problem).toContain('has no LoRA weights');
  });

  test('a broken LoRA', async () => {
    const found = await described('lora/bad/unknown_keys');
    expect(found.problem).toContain('adapts no layer that this model has');
    expect(found.problem).toContain('Choose a LoRA made for this model.');
  });
});
