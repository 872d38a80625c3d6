/**
 * Plan: the oracle's one adapter read from every form in circulation, with the same effect each time; alphas wherever they may stand;
 * what is written is read back, and has kohya's names, shapes and header; hashes as sd-scripts computes them; each kind of file that
 * cannot be used is refused for its own reason.
 */
import { createHash } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { expectClose, fixtureJson, fixtureSafetensors } from '../../../tools/testing.ts';
import { bytesSource } from '../../core/files.ts';
import { encodeSafetensors, openSafetensors, type SafetensorsFile, type TensorToWrite } from '../safetensors.ts';
import { kohyaName, readKohyaLora, writeKohyaLora } from './kohya.ts';
import { pythonFloat, trainingMetadata, type TrainingFacts } from './metadata.ts';
import { readLora } from './readLora.ts';
import { type KnownModule, type LoraFault, LoraFileError, type LoraModule } from './types.ts';

let known: KnownModule[] = [];

/** Every linear layer and 1x1 convolution of attention blocks in a component of the tiny model, with its sizes. */
async function projections(component: string, pattern: RegExp): Promise<KnownModule[]> {
  const file = await fixtureSafetensors(`sd15-tiny/model/${component}`);
  const names = file.names().filter((name) => pattern.test(name));
  return names.map((name) => {
    const [outFeatures, inFeatures] = file.info(name).shape as [number, number];
    return { module: name.replace(/\.weight$/, ''), inFeatures, outFeatures };
  });
}

beforeAll(async () => {
  known = [
    ...(await projections('unet/diffusion_pytorch_model.fp16.safetensors', /attn[12]\.to_(q|k|v|out\.0)\.weight$/)),
    ...(await projections('text_encoder/model.fp16.safetensors', /self_attn\.\w+_proj\.weight$/)),
  ];
});

const load = (name: string): Promise<SafetensorsFile> => fixtureSafetensors(`sd15-tiny/lora/${name}.safetensors`);

/** alpha / rank * up * down, [out, in]: all that a module does to its layer. */
function effect({ down, up, rank, alpha, inFeatures, outFeatures }: LoraModule): Float32Array {
  const out = new Float32Array(outFeatures * inFeatures);
  for (let o = 0; o < outFeatures; o++) {
    for (let i = 0; i < inFeatures; i++) {
      let sum = 0;
      for (let r = 0; r < rank; r++) sum += up[o * rank + r]! * down[r * inFeatures + i]!;
      out[o * inFeatures + i] = (sum * alpha) / rank;
    }
  }
  return out;
}

function expectSameEffect(actual: readonly LoraModule[], expected: readonly LoraModule[], atol: number): void {
  expect(actual.map(({ module }) => module)).toEqual(expected.map(({ module }) => module));
  actual.forEach((module, i) => expectClose(effect(module), effect(expected[i]!), atol, module.module));
}

async function peftOf(part: string): Promise<readonly LoraModule[]> {
  const adapterConfig = fixtureJson(`sd15-tiny/lora/peft/${part}/adapter_config.json`) as Record<string, unknown>;
  const lora = await readLora(await load(`peft/${part}/adapter_model`), known, { adapterConfig });
  expect(lora.form).toBe('peft');
  return lora.modules;
}

describe('reading LoRA files', () => {
  it('finds all of the UNet in a kohya file', async () => {
    const { modules, unmatched, metadata } = await readKohyaLora(await load('kohya/unet'), known);
    expect(modules).toHaveLength(128);
    expect(unmatched).toEqual([]);
    expect(metadata['ss_network_module']).toBe('networks.lora');
    expect(modules[0]).toMatchObject({
      module: 'down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_k',
      target: 'unet',
      rank: 2,
      alpha: 2,
      inFeatures: 32,
      outFeatures: 32,
    });
    expect(modules.every((module) => effect(module).some((value) => value !== 0))).toBe(true);
  });

  it('has the same effect from every form', async () => {
    const kohya = (await readLora(await load('kohya/unet'), known)).modules;
    expectSameEffect((await readLora(await load('diffusers/unet'), known)).modules, kohya, 1e-7);
    expectSameEffect(await peftOf('unet'), kohya, 1e-7);
    expectSameEffect((await readLora(await load('kohya/fp16'), known)).modules, kohya, 1e-3);

    const both = (await readLora(await load('kohya/unet_te'), known)).modules;
    expectSameEffect((await readLora(await load('diffusers/unet_te'), known)).modules, both, 1e-7);
    const text = both.filter(({ target }) => target === 'textEncoder');
    expect(text).toHaveLength(12);
    expectSameEffect((await readLora(await load('diffusers/te_flat'), known)).modules, text, 1e-7);
    expectSameEffect(await peftOf('text_encoder'), text, 1e-7);
    const converted = (await readLora(await load('kohya/converted_by_diffusers'), known)).modules;
    const crossAttention = both.filter(({ module, target }) => target === 'textEncoder' || module.includes('attn2'));
    expectSameEffect(converted, crossAttention, 1e-7);
  });

  it('reads the old diffusers form', async () => {
    const tensors = ['to_q', 'to_out'].flatMap((name): TensorToWrite[] => {
      const base = `mid_block.attentions.0.transformer_blocks.0.attn1.processor.${name}_lora`;
      return [
        { name: `${base}.down.weight`, dtype: 'F32', shape: [1, 64], data: new Float32Array(64).fill(2) },
        { name: `${base}.up.weight`, dtype: 'F32', shape: [64, 1], data: new Float32Array(64).fill(3) },
      ];
    });
    const lora = await readLora(await openSafetensors(bytesSource('old', encodeSafetensors(tensors))), known);
    expect(lora.modules.map(({ module }) => module).sort()).toEqual([
      'mid_block.attentions.0.transformer_blocks.0.attn1.to_out.0',
      'mid_block.attentions.0.transformer_blocks.0.attn1.to_q',
    ]);
    expect(effect(lora.modules[0]!)[0]).toBe(6);
    const text = ['q', 'out'].flatMap((name) => {
      const base = `text_encoder.text_model.encoder.layers.1.self_attn.to_${name}_lora`;
      return [tensor(`${base}.down.weight`, [1, 64]), tensor(`${base}.up.weight`, [64, 1])];
    });
    const { modules } = await readLora(await openSafetensors(bytesSource('old', encodeSafetensors(text))), known);
    const ends = modules.map(({ module }) => module.replace(/^.*self_attn./, ''));
    expect(ends.sort()).toEqual(['out_proj', 'q_proj']);
  });

  it('takes alphas from tensors, each its own', async () => {
    const { modules } = await readLora(await load('kohya/mixed'), known);
    const settings = new Map(modules.map(({ module, rank, alpha }) => [module.split('.').at(-1), [rank, alpha]]));
    expect(Object.fromEntries(settings)).toEqual({ to_q: [4, 2], to_k: [2, 2], to_v: [2, 1] });
    const quarter = await readLora(await load('kohya/alpha_ne_rank'), known);
    expect(quarter.modules.every(({ rank, alpha }) => rank === 4 && alpha === 1)).toBe(true);
  });

  it('takes alphas from the header, and from PEFT configs with patterns and rank stabilisation', async () => {
    const { modules } = await readLora(await load('diffusers/unet_alpha_metadata'), known);
    expect(modules.every(({ rank, alpha }) => rank === 4 && alpha === 2)).toBe(true);
    const file = await load('peft/unet/adapter_model');
    const adapterConfig = { lora_alpha: 8, alpha_pattern: { 'attn1.to_q': 4 }, use_rslora: true };
    const patterned = (await readLora(file, known, { adapterConfig })).modules;
    const alphaOf = (end: string): number => patterned.find(({ module }) => module.endsWith(end))!.alpha;
    // alpha / sqrt(2), written as alpha' / 2.
    expect([alphaOf('attn1.to_q'), alphaOf('attn2.to_q')]).toEqual([4 * Math.SQRT2, 8 * Math.SQRT2]);
  });

  it('reports layers that the model lacks, and needs only the names of those it has', async () => {
    const names = known.filter(({ module }) => module.startsWith('mid_block.')).map(({ module }) => module);
    const { modules, unmatched } = await readKohyaLora(await load('kohya/unet'), names);
    expect(modules).toHaveLength(8);
    expect(unmatched).toHaveLength(120);
    expect(unmatched).toContain('lora_unet_up_blocks_3_attentions_2_transformer_blocks_0_attn2_to_v');
    const beside = encodeSafetensors([
      DOWN,
      UP,
      tensor('emb_params', [4]),
      tensor('lora_unet_conv_norm_out.diff', [4]),
    ]);
    const partly = await readLora(await openSafetensors(bytesSource('x', beside)), known);
    expect(partly.unmatched).toEqual(['lora_unet_conv_norm_out', 'emb_params']);
  });
});

const MID = 'lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q';
const tensor = (name: string, shape: number[], value = 1): TensorToWrite => {
  const count = shape.reduce((product, size) => product * size, 1);
  return { name, dtype: 'F32', shape, data: new Float32Array(count).fill(value) };
};
const DOWN = tensor(`${MID}.lora_down.weight`, [2, 64]);
const UP = tensor(`${MID}.lora_up.weight`, [64, 2]);

describe('LoRA files that cannot be used', () => {
  const refused = (file: SafetensorsFile): Promise<unknown> =>
    readLora(file, known).then(
      () => 'accepted',
      (error: unknown) => error,
    );

  it.each([
    ['wrong_shape', 'wrong-shape', `${MID} takes 72 inputs, but the layer has 64`],
    ['unknown_keys', 'no-match', 'adapts no layer that this model has (it names lora_unet_'],
  ] as const)("refuses the oracle's %s file", async (name, reason, message) => {
    const error = (await refused(await load(`bad/${name}`))) as LoraFileError;
    expect(error).toBeInstanceOf(LoraFileError);
    expect(error.reason).toBe(reason);
    expect(error.message).toContain(`bad/${name}.safetensors`);
    expect(error.message).toContain(message);
  });

  it.each<readonly [what: string, tensors: readonly TensorToWrite[], reason: LoraFault, message: string]>([
    ['nothing of a LoRA', [tensor('conv_in.weight', [4])], 'not-lora', 'has no LoRA weights'],
    ['alphas alone', [tensor(`${MID}.alpha`, [])], 'not-lora', 'has no LoRA weights'],
    ['OFT', [tensor(`${MID}.oft_blocks`, [4, 4])], 'unsupported-kind', 'is an adapter of the kind OFT'],
    [
      'SDXL',
      [tensor('lora_unet_input_blocks_4_1_proj_in.lora_down.weight', [2, 64])],
      'sdxl',
      'is a LoRA for Stable Diffusion XL',
    ],
    [
      'a second text encoder',
      [tensor('lora_te2_text_model_x.lora_down.weight', [2, 64])],
      'sdxl',
      'is a LoRA for Stable Diffusion XL',
    ],
    ['no up', [DOWN], 'incomplete', `lacks the up weight of ${MID}`],
    ['no down', [UP], 'incomplete', `lacks the down weight of ${MID}`],
    [
      'two ranks',
      [DOWN, tensor(`${MID}.lora_up.weight`, [64, 3])],
      'wrong-shape',
      'has the shapes [2, 64] and [64, 3]',
    ],
    ['vectors', [tensor(`${MID}.lora_down.weight`, [2]), UP], 'wrong-shape', 'has the shapes [2] and [64, 2]'],
    [
      'wrong outputs',
      [DOWN, tensor(`${MID}.lora_up.weight`, [32, 2])],
      'wrong-shape',
      'gives 32 outputs, but the layer has 64',
    ],
    ['a vector of alphas', [DOWN, UP, tensor(`${MID}.alpha`, [3])], 'wrong-shape', 'of shape [3]'],
    ['NaN', [DOWN, tensor(`${MID}.lora_up.weight`, [64, 2], NaN)], 'not-finite', `holds infinities or NaN in ${MID}`],
    ['an infinite alpha', [DOWN, UP, tensor(`${MID}.alpha`, [], Infinity)], 'not-finite', 'holds infinities or NaN'],
  ])('refuses %s', async (_what, tensors, reason, message) => {
    const error = (await refused(
      await openSafetensors(bytesSource('x.safetensors', encodeSafetensors(tensors))),
    )) as LoraFileError;
    expect(error).toBeInstanceOf(LoraFileError);
    expect(error.reason).toBe(reason);
    expect(error.message).toMatch(/^x\.safetensors /);
    expect(error.message).toContain(message);
    expect(error.remedy).not.toBe('');
  });

  it('refuses what the header calls SDXL, and other forms where kohya is asked for', async () => {
    const sdxl = encodeSafetensors([DOWN, UP], { ss_base_model_version: 'sdxl_base_v1-0' });
    expect(((await refused(await openSafetensors(bytesSource('x', sdxl)))) as LoraFileError).reason).toBe('sdxl');
    await expect(readKohyaLora(await load('diffusers/unet'), known)).rejects.toThrow(
      "is a LoRA of diffusers' form, not kohya's",
    );
  });
});

const FACTS: TrainingFacts = {
  name: 'my-cat',
  modelName: 'stable-diffusion-v1-5/stable-diffusion-v1-5',
  triggerWord: 'sks cat',
  captions: ['sks cat, sitting', 'sks cat, on a sofa, sitting', 'Sks Cat'],
  startedAt: Date.UTC(2026, 0, 2, 3, 4, 5),
  finishedAt: Date.UTC(2026, 0, 2, 3, 9, 5),
  globalStep: 5,
  maxTrainSteps: 250,
  resolution: 512,
  rank: 8,
  alpha: 4,
  learningRate: 1e-4,
  trainBatchSize: 2,
  seed: 42,
  flipProbability: 0.5,
};

describe('writing LoRA files', () => {
  it('writes what it reads: names, shapes, values, metadata', async () => {
    const original = await load('kohya/unet_te');
    const { modules, metadata } = await readLora(original, known);
    const bytes = writeKohyaLora(modules, metadata, 'F32');
    const written = await openSafetensors(bytesSource('written', bytes));
    const names = (file: SafetensorsFile): string[] => [...file.names()].sort();
    expect(names(written)).toEqual(names(original));
    for (const name of original.names()) {
      expect(written.info(name)).toMatchObject({ dtype: 'F32', shape: original.info(name).shape });
      expect(Buffer.compare(await written.readBytes(name), await original.readBytes(name))).toBe(0);
    }
    expect(written.metadata).toMatchObject(metadata);
    expect(Buffer.compare(writeKohyaLora(modules, metadata, 'F32'), bytes)).toBe(0);
  });

  it('writes halves', async () => {
    const { modules } = await readLora(await load('kohya/fp16'), known);
    const original = await load('kohya/fp16');
    const written = await openSafetensors(bytesSource('written', writeKohyaLora(modules, {}, 'F16')));
    for (const name of original.names()) expect(await written.readBytes(name)).toEqual(await original.readBytes(name));
  });

  it('writes convolutions with their kernels', async () => {
    const conv: LoraModule = {
      module: 'conv_in',
      target: 'unet',
      down: new Float32Array(2 * 4 * 9).fill(1),
      up: new Float32Array(8 * 2).fill(1),
      rank: 2,
      alpha: 1,
      inFeatures: 4,
      outFeatures: 8,
      kernel: [3, 3],
    };
    const file = await openSafetensors(bytesSource('x', writeKohyaLora([conv], {}, 'F32')));
    expect(file.info('lora_unet_conv_in.lora_down.weight').shape).toEqual([2, 4, 3, 3]);
    expect(file.info('lora_unet_conv_in.lora_up.weight').shape).toEqual([8, 2, 1, 1]);
    expect((await readLora(file, ['conv_in'])).modules).toEqual([conv]);
  });

  it('refuses to write what diverged', async () => {
    const { modules } = await readLora(await load('kohya/unet'), known);
    const broken = { ...modules[0]!, up: modules[0]!.up.map(() => NaN) };
    expect(() => writeKohyaLora([broken], {}, 'F32')).toThrow(LoraFileError);
  });

  it('hashes as sd-scripts does', async () => {
    const { modules } = await readLora(await load('kohya/unet'), known);
    const header = { ss_seed: '42', 'modelspec.title': 'a' };
    const bytes = writeKohyaLora(modules, header, 'F32');
    const { metadata } = await openSafetensors(bytesSource('x', bytes));
    const dataStart = 8 + new DataView(bytes.buffer).getUint32(0, true);
    expect(metadata['sshs_model_hash']).toBe(createHash('sha256').update(bytes.subarray(dataStart)).digest('hex'));
    // The file is smaller than 1 MiB, so that the legacy hash is that of nothing.
    expect(metadata['sshs_legacy_hash']).toBe('e3b0c442');

    const retitled = await openSafetensors(
      bytesSource('x', writeKohyaLora(modules, { ...header, 'modelspec.title': 'b' }, 'F32')),
    );
    expect(retitled.metadata['sshs_model_hash']).toBe(metadata['sshs_model_hash']);
  });

  it('hashes the second mebibyte of a large file without its modelspec', async () => {
    const size = 700;
    const large: LoraModule = {
      module: 'x',
      target: 'unet',
      down: Float32Array.from({ length: size * size }, (_, i) => i % 1000),
      up: new Float32Array(size * 2 * size).fill(0.5),
      rank: size,
      alpha: 1,
      inFeatures: size,
      outFeatures: size * 2,
    };
    const legacy = async (header: Record<string, string>): Promise<string | undefined> =>
      (await openSafetensors(bytesSource('x', writeKohyaLora([large], header, 'F32')))).metadata['sshs_legacy_hash'];
    const plain = await legacy({ ss_seed: '1' });
    expect(plain).not.toBe('e3b0c442');
    expect(await legacy({ ss_seed: '1', 'modelspec.title': 'a' })).toBe(plain);
    // A longer header of training facts moves the tensors, and with them what the hash covers.
    expect(await legacy({ ss_seed: '1', ss_output_name: 'x'.repeat(100) })).not.toBe(plain);
  });

  it("fills kohya's header from a run", async () => {
    const { modules } = await readLora(await load('kohya/unet'), known);
    const metadata = trainingMetadata(modules, FACTS);
    expect(metadata).toMatchObject({
      ss_output_name: 'my-cat',
      ss_network_module: 'networks.lora',
      ss_network_dim: '2',
      ss_network_alpha: '4.0',
      ss_base_model_version: 'sd_v1',
      ss_learning_rate: '0.0001',
      ss_unet_lr: '0.0001',
      ss_text_encoder_lr: 'None',
      ss_num_train_images: '3',
      ss_num_batches_per_epoch: '2',
      ss_num_epochs: '125',
      ss_epoch: '3',
      ss_steps: '5',
      ss_max_train_steps: '250',
      ss_resolution: '(512, 512)',
      ss_flip_aug: 'True',
      ss_seed: '42',
      ss_sd_model_name: FACTS.modelName,
      'modelspec.architecture': 'stable-diffusion-v1/lora',
      'modelspec.title': 'my-cat',
      'modelspec.date': '2026-01-02T03:09:05',
      'modelspec.resolution': '512x512',
      'modelspec.trigger_phrase': 'sks cat',
    });
    expect(JSON.parse(metadata['ss_tag_frequency']!)).toEqual({
      '1_sks cat': { 'sks cat': 3, sitting: 2, 'on a sofa': 1 },
    });
    expect(JSON.parse(metadata['ss_dataset_dirs']!)).toEqual({ '1_sks cat': { n_repeats: 1, img_count: 3 } });
    expect(Object.values(metadata).every((value) => typeof value === 'string')).toBe(true);
    expect(Object.keys(trainingMetadata(modules, { ...FACTS, triggerWord: '' }))).not.toContain(
      'modelspec.trigger_phrase',
    );
  });

  it('counts repeats as kohya does, and says buckets', async () => {
    const { modules } = await readLora(await load('kohya/unet_te'), known);
    const metadata = trainingMetadata(modules, { ...FACTS, repeats: 4, enableBucket: true });
    expect(metadata).toMatchObject({
      ss_num_train_images: '12',
      ss_num_batches_per_epoch: '6',
      ss_enable_bucket: 'True',
      ss_dataset_dirs: JSON.stringify({ '4_sks cat': { n_repeats: 4, img_count: 3 } }),
    });
  });

  it("fills every entry of kohya's header that a run may know", async () => {
    const { modules } = await readLora(await load('kohya/unet_te'), known);
    const metadata = trainingMetadata(modules, {
      ...FACTS,
      textEncoderLearningRate: 5e-5,
      lrScheduler: 'cosine',
      lrWarmupSteps: 10,
      networkDropout: 0.1,
      mixedPrecision: 'fp16',
      clipSkip: 2,
      noiseOffset: 0.05,
      minSnrGamma: 5,
      maxGradNorm: 1,
      captionDropoutRate: 0.1,
      modelHash: 'cc6cb27103',
      vaeName: 'mse',
      tags: ['cat', 'photo'],
      thumbnail: 'data:image/png;base64,AAAA',
    });
    expect(metadata).toMatchObject({
      ss_text_encoder_lr: '5e-05',
      ss_lr_scheduler: 'cosine',
      ss_lr_warmup_steps: '10',
      ss_network_dropout: '0.1',
      ss_mixed_precision: 'fp16',
      ss_clip_skip: '2',
      ss_noise_offset: '0.05',
      ss_min_snr_gamma: '5.0',
      ss_max_grad_norm: '1.0',
      ss_caption_dropout_rate: '0.1',
      ss_sd_model_hash: 'cc6cb27103',
      ss_vae_name: 'mse',
      'modelspec.tags': 'cat, photo',
      'modelspec.thumbnail': 'data:image/png;base64,AAAA',
    });
    const listed =
      `session_id output_name training_started_at training_finished_at learning_rate unet_lr text_encoder_lr num_train_images
      num_batches_per_epoch num_epochs epoch steps max_train_steps gradient_checkpointing gradient_accumulation_steps lr_scheduler
      lr_warmup_steps network_module network_dim network_alpha network_dropout mixed_precision base_model_version clip_skip seed noise_offset
      min_snr_gamma optimizer max_grad_norm caption_dropout_rate resolution batch_size_per_device flip_aug enable_bucket bucket_info
      tag_frequency dataset_dirs sd_model_name sd_model_hash vae_name`.split(/\s+/);
    expect(Object.keys(metadata)).toEqual(expect.arrayContaining(listed.map((key) => `ss_${key}`)));
  });

  it('names layers as kohya does and writes floats as Python does', () => {
    expect(kohyaName({ module: 'text_model.encoder.layers.0.self_attn.k_proj', target: 'textEncoder' })).toBe(
      'lora_te_text_model_encoder_layers_0_self_attn_k_proj',
    );
    expect([1, 0.5, 1e-4, 1e-5, 2.5e-8, 0, 1e16].map(pythonFloat)).toEqual([
      '1.0',
      '0.5',
      '0.0001',
      '1e-05',
      '2.5e-08',
      '0.0',
      '1e+16',
    ]);
  });
});
