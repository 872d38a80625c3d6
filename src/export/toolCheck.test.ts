// Plan: each tool's verdict over the forms that matter (kohya, diffusers old and new, PEFT), kinds that diffusers lacks, a few and many
// names that match nothing, headers that say another model, widths of another model, different alphas.
import { describe, expect, test } from 'vitest';
import { bytesSource } from '../core/files.ts';
import { encodeSafetensors, openSafetensors, type TensorToWrite } from '../formats/safetensors.ts';
import { sd15Modules } from '../models/adaptable.ts';
import { checkTools, TOOLS, type Tool, type ToolVerdict } from './toolCheck.ts';

const known = sd15Modules();

function tensor(name: string, shape: readonly number[], value = 1): TensorToWrite {
  return { name, dtype: 'F32', shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(value) };
}

async function check(
  tensors: readonly TensorToWrite[],
  metadata: Record<string, string> = {},
): Promise<Record<Tool, ToolVerdict>> {
  const file = await openSafetensors(bytesSource('x', encodeSafetensors(tensors, metadata)));
  const verdicts = await checkTools(file, known);
  expect(verdicts.map(({ tool }) => tool)).toEqual(TOOLS);
  return Object.fromEntries(verdicts.map((verdict) => [verdict.tool, verdict])) as Record<Tool, ToolVerdict>;
}

const takes = (verdicts: Record<Tool, ToolVerdict>): string[] => TOOLS.map((tool) => verdicts[tool].takes);

/** Pairs on the cross attention of four blocks. */
const paths = [0, 1].flatMap((i) =>
  ['to_k', 'to_v', 'to_q'].map((to) => `down_blocks.0.attentions.${i}.transformer_blocks.0.attn2.${to}`),
);
const width = (path: string): number => (path.endsWith('to_q') ? 320 : 768);
const kohya = paths.flatMap((path) => [
  tensor(`lora_unet_${path.replaceAll('.', '_')}.lora_down.weight`, [1, width(path)]),
  tensor(`lora_unet_${path.replaceAll('.', '_')}.lora_up.weight`, [320, 1]),
  tensor(`lora_unet_${path.replaceAll('.', '_')}.alpha`, []),
]);
const dotted = (name: (path: string, part: 'down' | 'up') => string): TensorToWrite[] =>
  paths.flatMap((path) => [tensor(name(path, 'down'), [1, width(path)]), tensor(name(path, 'up'), [320, 1])]);

describe('forms', () => {
  test("kohya's is read by all", async () => {
    expect(takes(await check(kohya, { ss_v2: 'False' }))).toEqual(['yes', 'yes', 'yes', 'yes', 'yes']);
    expect(takes(await check(kohya))).toEqual(['yes', 'yes', 'yes', 'yes', 'yes']);
  });

  test("diffusers' new one by diffusers alone", async () => {
    const verdicts = await check(dotted((path, part) => `unet.${path}.lora.${part}.weight`));
    expect(takes(verdicts)).toEqual(['no', 'no', 'no', 'no', 'yes']);
    expect(verdicts.ComfyUI.reason).toContain('none of the names');
  });

  test("diffusers' old one by ComfyUI and Forge too", async () => {
    const old = dotted((path, part) => `${path.replace(/\.(to_[qkv])$/, '.processor.$1_lora')}.${part}.weight`);
    expect(takes(await check(old))).toEqual(['no', 'yes', 'yes', 'no', 'yes']);
  });

  test("PEFT's by peft", async () => {
    const peft = dotted((path, part) => `base_model.model.${path}.lora_${part === 'down' ? 'A' : 'B'}.weight`);
    const verdicts = await check(peft);
    expect(takes(verdicts)).toEqual(['no', 'no', 'no', 'no', 'no']);
    expect(verdicts.diffusers.reason).toContain('PeftModel.from_pretrained');
  });
});

describe('content', () => {
  const layer = 'lora_unet_mid_block_resnets_0_conv1';

  test('diffusers lacks LoHa, LoKr, full differences and kernels of LoCon; InvokeAI needs the width', async () => {
    const lokr = await check([
      ...kohya,
      tensor(`${layer}.lokr_w1`, [4, 4]),
      tensor(`${layer}.lokr_w2`, [320, 320, 3, 3]),
    ]);
    expect(takes(lokr)).toEqual(['yes', 'yes', 'yes', 'yes', 'no']);
    expect(lokr.diffusers.reason).toContain(`${layer}.lokr_w1`);
    const alone = await check([tensor(`${layer}.diff`, [4, 4])]);
    expect(takes(alone)).toEqual(['yes', 'yes', 'yes', 'no', 'no']);
    expect(alone.InvokeAI.reason).toContain('none is here');
  });

  test('names that diffusers cannot turn back', async () => {
    const timed = [...kohya, tensor('lora_unet_time_embedding_linear_1.lora_down.weight', [1, 320])];
    expect(takes(await check(timed))).toEqual(['yes', 'yes', 'yes', 'yes', 'no']);
  });

  test('Forge drops a file with more than 12 tensors left over', async () => {
    const strangers = (n: number): TensorToWrite[] =>
      Array.from({ length: n }, (_, i) => tensor(`lora_unet_no_such_block_${i}.lora_down.weight`, [1, 4]));
    expect((await check([...kohya, ...strangers(12)])).Forge.takes).toBe('partly');
    const many = await check([...kohya, ...strangers(13)]);
    expect(takes(many)).toEqual(['partly', 'no', 'partly', 'partly', 'no']);
    expect(many.Forge.reason).toContain('13 tensors match nothing');
  });

  test('different alphas', async () => {
    const mixed = kohya.map((entry, i) => (i === 2 ? { ...entry, data: Float32Array.of(0.5) } : entry));
    expect(takes(await check(mixed))).toEqual(['yes', 'yes', 'yes', 'yes', 'partly']);
  });
});

describe('other models', () => {
  test('headers', async () => {
    expect(takes(await check(kohya, { ss_v2: 'True' }))[0]).toBe('no');
    const sdxl = await check(kohya, { ss_base_model_version: 'sdxl_base_v1-0' });
    expect(new Set(takes(sdxl))).toEqual(new Set(['no']));
    const demo = await check(kohya, { ss_base_model_version: 'loratory-demo' });
    expect(new Set(takes(demo))).toEqual(new Set(['no']));
    expect(demo.ComfyUI.reason).toContain('demo model');
  });

  test('widths', async () => {
    const sd2 = [tensor('lora_te_text_model_encoder_layers_0_self_attn_k_proj.lora_down.weight', [1, 1024])];
    expect((await check(sd2)).InvokeAI.reason).toContain('1024 wide');
  });

  test('no LoRA at all', async () => {
    expect(new Set(takes(await check([tensor('conv_in.weight', [4])])))).toEqual(new Set(['no']));
  });
});
