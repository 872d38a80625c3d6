/**
 * How each group of cases is replayed. A replay returns null where the case needs something that Loratory does not do yet;
 * it is then listed as unsupported.
 */
import { PluggedAdapters, TrainableAdapter } from '../../adapter/lora.ts';
import type { RgbImage } from '../../core/image.ts';
import { defined } from '../../core/invariant.ts';
import {
  centerCrop,
  flipHorizontal,
  preprocessTensor,
  resizeShorterSide,
  toModelRange,
} from '../../dataset/preprocess.ts';
import { keep, readTensor, tensor, type Tensor } from '../../gpu/ops.ts';
import { encodePrompts } from '../../latents/embeddings.ts';
import { sampleLatents } from '../../latents/cache.ts';
import { checkpointedGradients } from '../../nn/segments.ts';
import { denoise } from '../../sampler/denoise.ts';
import { decodeLatents } from '../../sampler/image.ts';
import { addNoise } from '../../schedulers/ddpm.ts';
import { createScheduler, SCHEDULER_CLASSES } from '../../schedulers/index.ts';
import { createNoiseSchedule } from '../../schedulers/noiseSchedule.ts';
import type { Scheduler } from '../../schedulers/types.ts';
import { defaultAdamW, LoraTrainer, withLoss, type NoisyBatch } from '../../trainer/trainer.ts';
import { maxAbsError, toNchw, toNhwc, type Checker } from './check.ts';
import { replayLoraFiles } from './groups/loraFiles.ts';
import { modulesOf, pairsOf } from './loraSets.ts';
import type { OracleModels } from './models.ts';
import type { GoldenTensor, OracleCase, OraclePack } from './pack.ts';

export interface Replay {
  readonly pack: OraclePack;
  readonly models: OracleModels;
  readonly oracleCase: OracleCase;
  readonly check: Checker;
  /** The tensor that plays a role. */
  readonly input: (role: string) => Promise<GoldenTensor>;
}

/** Replays a case into its checker; false if the case is not supported. */
export type GroupReplay = (replay: Replay) => Promise<boolean>;

export const groups: Readonly<Record<string, GroupReplay>> = {
  text: replayText,
  unet: replayUNet,
  vae: replayVae,
  schedulers: replayScheduler,
  pipeline: replayPipeline,
  'lora-forward': replayLoraForward,
  'lora-files': replayLoraFiles,
  'lora-grad': replayLoraGrad,
  train: replayTrain,
  preprocess: replayPreprocess,
};

async function replayText({ models, oracleCase, check, input }: Replay): Promise<boolean> {
  const encoder = await models.textEncoder();
  const model = await models.model();
  const ids = Int32Array.from((await input('ids')).values);
  const { prompt } = oracleCase.params;
  if (typeof prompt === 'string') check.record('tokens', maxAbsError(model.tokenizer.encode(prompt).ids, ids), 0);
  const output = await encoder.encode([ids], { hiddenStates: true });
  const last = await readTensor(output.lastHiddenState);
  const { lastHiddenState: penultimate } = await encoder.encode([ids], { clipSkip: 2 });
  const width = encoder.config.hiddenSize;
  const eos = ids.indexOf(encoder.config.eosTokenId);
  await check.compare('last_hidden_state', last);
  await check.compare('penultimate', await readTensor(penultimate));
  await check.compare('pooled', last.subarray(eos * width, (eos + 1) * width));
  await check.compare('embeddings', await readTensor(output.hiddenStates[0]!));
  await check.compare('after_layer_0', await readTensor(output.hiddenStates[1]!));
  for (const t of [output.lastHiddenState, penultimate, ...output.hiddenStates]) t.dispose();
  return true;
}

async function replayUNet({ models, check, input }: Replay): Promise<boolean> {
  const unet = await models.unet();
  const taps = new Map<string, Tensor>();
  unet.tap = (name, value) => {
    if (check.hasRole(`tap.${name}`)) taps.set(name, keep(value.clone()));
  };
  try {
    await compareUNet(await models.unet(), { check, input }, () => {});
    for (const [name, value] of taps) await check.compare(`tap.${name}`, await channelsFirst(value));
  } finally {
    unet.tap = undefined;
    for (const value of taps.values()) value.dispose();
  }
  return true;
}

/** Runs the UNet on the case's sample, timestep and context and compares `out`. */
async function compareUNet(
  unet: Awaited<ReturnType<OracleModels['unet']>>,
  { check, input }: Pick<Replay, 'check' | 'input'>,
  after: () => void,
): Promise<void> {
  const sample = await input('sample');
  const [n, c, h, w] = sample.shape as [number, number, number, number];
  const timesteps = perSample((await input('timestep')).values, n);
  const context = await input('context');
  const x = tensor(toNhwc(sample), [n, h, w, c]);
  const contextTensor = tensor(Float32Array.from(context.values), context.shape);
  const out = unet.forward(x, timesteps, contextTensor);
  after();
  await check.compare('out', await channelsFirst(out));
  for (const t of [x, contextTensor, out]) t.dispose();
}

async function replayVae({ models, oracleCase, check, input }: Replay): Promise<boolean> {
  const vae = await models.vae();
  const scalingFactor = Number(oracleCase.params['scaling_factor'] ?? vae.config.scalingFactor);
  if (check.hasRole('noise')) {
    const image = await input('image');
    const [n, , h, w] = image.shape as [number, number, number, number];
    const moments = await vae.encode(toNhwc(image), [n, h, w]);
    const noise = toNhwc(await input('noise'));
    await check.compare('mean', toNchw(moments.mean, moments.shape));
    await check.compare('logvar', toNchw(moments.logvar, moments.shape));
    await check.compare('latents', toNchw(sampleLatents(moments, noise, scalingFactor), moments.shape));
    return true;
  }
  const latents = await input('latents');
  const [n, , h, w] = latents.shape as [number, number, number, number];
  const taps = new Map<string, Tensor>();
  vae.tap = (name, value) => {
    if (check.hasRole(`tap.${name}`)) taps.set(name, keep(value.clone()));
  };
  try {
    const image = await vae.decode(
      toNhwc(latents).map((value) => value / scalingFactor),
      [n, h, w],
    );
    await check.compare('image', toNchw(image, [n, h * vae.factor, w * vae.factor, vae.config.outChannels]));
    for (const [name, value] of taps) await check.compare(`tap.${name}`, await channelsFirst(value));
  } finally {
    vae.tap = undefined;
    for (const value of taps.values()) value.dispose();
  }
  return true;
}

/** The scheduler that a case asks for, or null if it is not built yet. */
async function schedulerOf({ models, oracleCase }: Replay, field: string): Promise<Scheduler | null> {
  const { params } = oracleCase;
  const name = SCHEDULER_CLASSES[String(params[field])];
  if (!name) return null;
  const overrides = (params['set'] ?? {}) as Record<string, unknown>;
  const { schedulerConfig } = await models.model();
  return createScheduler(name, { ...schedulerConfig, ...overrides }, Number(params['num_inference_steps']));
}

async function replayScheduler(replay: Replay): Promise<boolean> {
  const { pack, models, oracleCase, check, input } = replay;
  const { schedulerConfig } = await models.model();
  const schedule = createNoiseSchedule(schedulerConfig);
  if (check.hasRole('alphas_cumprod')) {
    await check.compare('alphas_cumprod', schedule.alphasCumprod);
    return true;
  }
  if (check.hasRole('x0')) {
    const x0 = await input('x0');
    const noise = Float32Array.from((await input('noise')).values);
    const timesteps = Array.from((await input('timesteps')).values);
    const out = addNoise(schedule.alphasCumprod, Float32Array.from(x0.values), noise, timesteps);
    await check.compare('out', out);
    return true;
  }
  const scheduler = await schedulerOf(replay, 'class');
  if (!scheduler) return false;
  await check.compare('timesteps', scheduler.timesteps);
  if (check.hasRole('sigmas') && scheduler.sigmas) await check.compare('sigmas', scheduler.sigmas);
  const pseudo = pack.index['pseudo_model'] as { a: number; b: number; c: number };
  let sample = Float32Array.from((await input('x_T')).values).map((value) => value * scheduler.initNoiseSigma);
  const steps: number[] = [];
  const recorded = (await input('samples')).shape[0] ?? 0;
  if (recorded === scheduler.timesteps.length + 1) steps.push(...sample);
  for (const [i, t] of scheduler.timesteps.entries()) {
    const scaled = scheduler.scaleModelInput(sample, i);
    const eps = scaled.map((x) => pseudo.a * x + pseudo.b * Math.sin(t / pseudo.c));
    sample = Float32Array.from(scheduler.step(eps, i, sample));
    steps.push(...sample);
  }
  await check.compare('samples', steps);
  check.record(
    'init_noise_sigma',
    Math.abs(scheduler.initNoiseSigma - Number(oracleCase.params['init_noise_sigma'])),
    1e-4,
  );
  return true;
}

async function replayPipeline(replay: Replay): Promise<boolean> {
  const { models, oracleCase, check, input } = replay;
  const scheduler = await schedulerOf(replay, 'scheduler');
  if (!scheduler) return false;
  const { params } = oracleCase;
  const model = await models.model();
  const vae = await models.vae();
  const prompt = String(params['prompt']);
  const negative = typeof params['negative_prompt'] === 'string' ? params['negative_prompt'] : '';
  const embeddings = await encodePrompts(await models.textEncoder(), model.tokenizer, [prompt, negative]);
  const steps: Float32Array[] = [];
  const shape = check.hasRole('latents')
    ? nhwcShape((await input('latents')).shape)
    : nhwcShape((await input('noise')).shape);
  const start = check.hasRole('latents')
    ? { noise: toNhwc(await input('latents')) }
    : await imageToImageStart(replay, scheduler);
  const latents = await denoise({
    unet: await models.unet(),
    scheduler,
    start,
    shape,
    promptEmbeds: defined(embeddings.get(prompt)),
    negativePromptEmbeds: defined(embeddings.get(negative)),
    guidanceScale: Number(params['guidance_scale']),
    onStep: (_step, values) => void steps.push(toNchw(values, [1, ...shape])),
  });
  if (check.hasRole('step_latents'))
    await check.compare(
      'step_latents',
      steps.flatMap((values) => Array.from(values)),
    );
  await check.compare('final_latents', toNchw(latents, [1, ...shape]));
  const image = await decodeLatents(vae, latents, shape);
  await check.compare('image_u8_hwc', image.data);
  if (check.hasRole('image')) {
    const decoded = await vae.decode(
      latents.map((value) => value / vae.config.scalingFactor),
      [1, shape[0], shape[1]],
    );
    const clamped = decoded.map((value) => Math.min(1, Math.max(0, value / 2 + 0.5)));
    await check.compare('image', toNchw(clamped, [1, image.height, image.width, 3]));
  }
  return true;
}

async function imageToImageStart(
  { models, oracleCase, input }: Replay,
  scheduler: Scheduler,
): Promise<{ latents: Float32Array; from: number }> {
  const vae = await models.vae();
  const image = rgb(await input('input_image_u8_hwc'));
  const moments = await vae.encode(toModelRange(image), [1, image.height, image.width]);
  const clean = sampleLatents(moments, toNhwc(await input('posterior_noise')), vae.config.scalingFactor);
  const count = Number(oracleCase.params['num_inference_steps']);
  const from = Math.max(count - Math.min(Math.floor(count * Number(oracleCase.params['strength'])), count), 0);
  return { latents: scheduler.addNoise(clean, toNhwc(await input('noise')), from), from };
}

async function replayLoraForward(replay: Replay): Promise<boolean> {
  const { pack, models, oracleCase } = replay;
  const unet = await models.unet();
  const linears = unet.attentionLinears();
  const known = new Set(linears.flatMap((linear) => linear.modules));
  const { params, roles } = oracleCase;
  const described =
    (params['adapters'] as { set: string; alpha: number; weight: number }[] | undefined) ??
    Object.keys(roles)
      .filter((role) => role.startsWith('lora'))
      .map((set) => ({ set, alpha: Number(params['alpha']), weight: Number(params['scale']) }));
  const adapters = [];
  for (const { set, alpha } of described) {
    const modules = modulesOf(await pack.tensors(defined(roles[set])), { alpha, known });
    if (!modules) return false;
    adapters.push({ name: set, modules });
  }
  const plugged = PluggedAdapters.plug(linears, adapters);
  try {
    plugged.setWeights(described.map(({ weight }) => weight));
    await compareUNet(unet, replay, () => {});
  } finally {
    plugged.unplug();
  }
  return true;
}

async function replayLoraGrad({ pack, models, oracleCase, check, input }: Replay): Promise<boolean> {
  const unet = await models.unet();
  const linears = unet.attentionLinears();
  const { params, roles, tolerance } = oracleCase;
  const sets = Object.keys(roles).filter((role) => role.startsWith('lora_'));
  if (sets.length !== 1) return false;
  const known = new Set(linears.flatMap((linear) => linear.modules));
  const alpha = Number(params['alpha']);
  const modules = modulesOf(await pack.tensors(defined(roles[sets[0]!])), { alpha, known });
  if (!modules) return false;
  const adapter = TrainableAdapter.fromModules(linears, modules, { rank: Number(params['rank']), alpha });
  const noisy = await input('noisy');
  const [n, c, h, w] = noisy.shape as [number, number, number, number];
  const context = await input('context');
  const inputs = new Map([
    ['sample', tensor(toNhwc(noisy), [n, h, w, c])],
    ['target', tensor(toNhwc(await input('noise')), [n, h, w, c])],
    ['context', tensor(Float32Array.from(context.values), context.shape)],
    ['time', unet.embedTime(perSample((await input('timesteps')).values, n))],
  ]);
  const one = tensor(Float32Array.of(1), []);
  try {
    const parameters = adapter.parameters();
    const result = checkpointedGradients(withLoss(unet.segments()), inputs, parameters, {
      loss: 'loss',
      one,
      inputGradients: ['context'],
    });
    const values = new Map<number, Float32Array>();
    for (const [i, gradient] of result.parameters.entries()) {
      values.set(parameters[i]!.id, await readTensor(defined(gradient, 'gradient')));
      gradient!.dispose();
    }
    await check.compare('loss', await readTensor(defined(result.outputs.get('loss'))));
    await check.compare('pred', toNchw(await readTensor(defined(result.outputs.get('out'))), [n, h, w, c]));
    await check.compare('grad_context', await readTensor(defined(result.inputs.get('context'))));
    const reference = defined(roles['grads']);
    const recorded = await pack.tensors(reference);
    for (const { name, actual, expected } of pairsOf(
      adapter.split((parameter) => defined(values.get(parameter.id))),
      recorded,
    )) {
      check.note(name, actual, expected, tolerance[reference] ?? {});
    }
    for (const t of [...result.outputs.values(), ...result.inputs.values()]) t.dispose();
  } finally {
    one.dispose();
    for (const t of inputs.values()) t.dispose();
    adapter.dispose();
  }
  return true;
}

/** Options of training cases that are not built yet: clipping, min-SNR, accumulation, schedules. */
async function replayTrain({ pack, models, oracleCase, check, input }: Replay): Promise<boolean> {
  const { params, roles, tolerance } = oracleCase;
  const set = params['set'] as Record<string, unknown> | undefined;
  if (!set || Object.keys(set).length > 0 || params['optimizer'] !== 'AdamW') return false;
  const unet = await models.unet();
  const linears = unet.attentionLinears();
  const known = new Set(linears.flatMap((linear) => linear.modules));
  const alpha = Number(params['alpha']);
  const initial = await pack.tensors(defined(roles['init']));
  const modules = modulesOf(initial, { alpha, known });
  if (!modules) return false;
  const adapter = TrainableAdapter.fromModules(linears, modules, { rank: Number(params['rank']), alpha });
  const [beta1, beta2] = params['betas'] as [number, number];
  const learningRate = Number(params['lr']);
  const trainer = new LoraTrainer(unet, adapter, {
    ...defaultAdamW,
    learningRate,
    beta1,
    beta2,
    epsilon: Number(params['eps']),
    weightDecay: Number(params['weight_decay']),
  });
  const { alphasCumprod } = createNoiseSchedule((await models.model()).schedulerConfig);
  try {
    const [latents, noise, timesteps, contextIndex, contexts] = await Promise.all(
      ['latents', 'noise', 'timesteps', 'context_index', 'contexts'].map((role) => input(role)),
    );
    const losses: number[] = [];
    const norms: number[] = [];
    for (let step = 0; step < Number(params['steps']); step++) {
      const batch = batchOf(
        step,
        { latents: latents!, noise: noise!, timesteps: timesteps!, contextIndex: contextIndex!, contexts: contexts! },
        alphasCumprod,
      );
      const result = await trainer.step(batch, { gradientNorm: true });
      losses.push(result.loss);
      norms.push(defined(result.gradientNorm));
      const role = `step${step + 1}`;
      const reference = roles[role];
      if (reference === undefined) continue;
      const recorded = await pack.tensors(reference);
      const allowed = tolerance[reference] ?? {};
      let difference = 0;
      let update = 0;
      for (const { name, actual, expected } of pairsOf(await adapter.toModules(), recorded)) {
        check.note(`${role}/${name}`, actual, expected, { atol: allowed.atol ?? 0 });
        const before = defined(initial.get(name)).values;
        for (let j = 0; j < actual.length; j++) {
          difference += (actual[j]! - expected.values[j]!) ** 2;
          update += (expected.values[j]! - before[j]!) ** 2;
        }
      }
      check.record(`${role}: relative error of the update`, Math.sqrt(difference / update), allowed.update_rel_l2 ?? 0);
    }
    await check.compare('losses', losses);
    await check.compare('grad_norms', norms);
    await check.compare(
      'lrs',
      losses.map(() => learningRate),
    );
  } finally {
    trainer.dispose();
    adapter.dispose();
  }
  return true;
}

function batchOf(
  step: number,
  data: Readonly<Record<'latents' | 'noise' | 'timesteps' | 'contextIndex' | 'contexts', GoldenTensor>>,
  alphasCumprod: Float32Array,
): NoisyBatch {
  // [steps, batch, C, H, W]
  const [, n = 0, c = 0, h = 0, w = 0] = data.latents.shape;
  const size = n * c * h * w;
  const part = (golden: GoldenTensor): Float32Array =>
    toNhwc({ shape: [n, c, h, w], values: Float32Array.from(golden.values).subarray(step * size, (step + 1) * size) });
  const clean = part(data.latents);
  const noise = part(data.noise);
  const timesteps = Array.from(data.timesteps.values).slice(step * n, (step + 1) * n);
  const noisy = addNoise(alphasCumprod, clean, noise, timesteps);
  const [, tokens = 0, width = 0] = data.contexts.shape.slice(-3);
  const context = new Float32Array(n * tokens * width);
  for (let i = 0; i < n; i++) {
    const index = data.contextIndex.values[step * n + i]!;
    context.set(
      Float32Array.from(data.contexts.values).subarray(index * tokens * width, (index + 1) * tokens * width),
      i * tokens * width,
    );
  }
  return { shape: [n, h, w, c], clean, noise, noisy, timesteps, context, contextShape: [n, tokens, width] };
}

async function replayPreprocess({ check, input }: Replay): Promise<boolean> {
  const image = rgb(await input('image_u8_hwc'));
  const [side = 0] = (await input('pil.cropped_u8_hwc')).shape;
  const resized = resizeShorterSide(image, side);
  const cropped = centerCrop(resized, side);
  const chw = (values: Float32Array): Float32Array => toNchw(values, [1, side, side, 3]);
  await check.compare('pil.resized_u8_hwc', resized.data);
  await check.compare('pil.cropped_u8_hwc', cropped.data);
  await check.compare('pil.values', chw(toModelRange(cropped)));
  await check.compare('pil.values_flipped', chw(toModelRange(flipHorizontal(cropped))));
  const floats = preprocessTensor(image, side);
  await check.compare(
    'tensor.resized',
    toNchw(floats.resized.data, [1, floats.resized.height, floats.resized.width, 3]),
  );
  await check.compare('tensor.values', chw(floats.values));
  return true;
}

function rgb({ shape, values }: GoldenTensor): RgbImage {
  const [height = 0, width = 0] = shape;
  return { width, height, data: Uint8Array.from(values) };
}

function nhwcShape([, c = 0, h = 0, w = 0]: readonly number[]): [number, number, number] {
  return [h, w, c];
}

function perSample(values: ArrayLike<number>, n: number): number[] {
  return Array.from({ length: n }, (_, i) => values[Math.min(i, values.length - 1)]!);
}

/** A tensor's values as the oracle records them: images NCHW, tokens and vectors as they are. */
async function channelsFirst(value: Tensor): Promise<Float32Array> {
  const values = await readTensor(value);
  return value.shape.length === 4 ? toNchw(values, value.shape) : values;
}
