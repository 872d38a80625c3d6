/** Whole training runs of a few steps. */
import { TrainableAdapter } from '../../../adapter/trainable.ts';
import { defined } from '../../../core/invariant.ts';
import { defaultLrScheduler, learningRateAt } from '../../../core/learningRate.ts';
import { defaultOptimizer, defaultTrainOptions } from '../../../core/trainOptions.ts';
import { type BatchParts, diffusionSettings, type DiffusionSettings, noiseBatch } from '../../../trainer/batch.ts';
import { snr } from '../../../trainer/lossWeights.ts';
import { LoraTrainer } from '../../../trainer/trainer.ts';
import { toNhwc } from '../check.ts';
import { layersOf, modulesOfSet, pairsOf } from '../loraSets.ts';
import type { GoldenTensor } from '../pack.ts';
import type { Replay } from './types.ts';

interface CaseOptions {
  /** Largest norm of the gradients. */
  readonly clip?: number;
  readonly snr_gamma?: number;
  readonly accum?: number;
  /** A cosine schedule with two steps of warm-up. */
  readonly cosine?: boolean;
  /** Said of the adapter, which has it already. */
  readonly alpha?: number;
  readonly rank?: number;
}

const knownOptions = new Set(['clip', 'snr_gamma', 'accum', 'cosine', 'alpha', 'rank']);

/** The index gives a schedule's warm-up in words only: "warm-up 2 of 10 steps". */
function warmupOf(description: string): number {
  return Number(/warm-?up (\d+)/.exec(description)?.[1] ?? 0);
}

export async function replayTrain(replay: Replay): Promise<boolean> {
  const { pack, models, oracleCase, check, input } = replay;
  const { params, roles, tolerance } = oracleCase;
  const settings = { ...(await settingsOf(models)), minSnrGamma: null as number | null };
  if ('snr' in roles) {
    const timesteps = await input('timesteps');
    await check.compare(
      'snr',
      Array.from(timesteps.values, (t) => snr(settings.alphasCumprod, t)),
    );
    return true;
  }
  const set = params['set'] as CaseOptions | undefined;
  if (!set || Object.keys(set).some((name) => !knownOptions.has(name)) || params['optimizer'] !== 'AdamW') return false;
  const { clip = 0, snr_gamma: minSnrGamma = null, accum = 1, cosine = false } = set;
  settings.minSnrGamma = minSnrGamma;
  const unet = await models.unet();
  const initial = await pack.tensors(defined(roles['init']));
  const modules = modulesOfSet(initial, Number(params['alpha']));
  const layers = await layersOf(models, modules);
  if (!layers) return false;
  const adapter = TrainableAdapter.fromModules(layers, modules);
  const [beta1, beta2] = params['betas'] as [number, number];
  const steps = Number(params['steps']);
  const trainer = new LoraTrainer({ unet }, adapter.parameterGroups(), {
    ...defaultTrainOptions,
    maxGradNorm: clip,
    optimizer: {
      ...defaultOptimizer('adamw'),
      beta1,
      beta2,
      epsilon: Number(params['eps']),
      weightDecay: Number(params['weight_decay']),
    },
  });
  const lrScheduler = defaultLrScheduler(cosine ? 'cosine' : 'constant', warmupOf(oracleCase.what));
  const rate = { learningRate: Number(params['lr']), lrScheduler, maxTrainSteps: steps };
  try {
    const [latents, noise, timesteps, contextIndex, contexts] = await Promise.all(
      ['latents', 'noise', 'timesteps', 'context_index', 'contexts'].map((role) => input(role)),
    );
    const data = {
      latents: latents!,
      noise: noise!,
      timesteps: timesteps!,
      contextIndex: contextIndex!,
      contexts: contexts!,
    };
    const recordedBatches = data.latents.shape[0] ?? 0;
    const losses: number[] = [];
    const norms: number[] = [];
    const rates: number[] = [];
    for (let step = 0; step < steps; step++) {
      const batches = Array.from({ length: accum }, (_, i) =>
        noiseBatch(partsOf((step * accum + i) % recordedBatches, data), settings),
      );
      rates.push(learningRateAt(rate, step));
      const result = await trainer.step(batches, rates.at(-1)!);
      losses.push(...result.losses);
      norms.push(result.gradientNorm);
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
      // A step whose rate is 0 changes nothing, and so has no relative error.
      if (update === 0) continue;
      check.record(`${role}: relative error of the update`, Math.sqrt(difference / update), allowed.update_rel_l2 ?? 0);
    }
    await check.compare('losses', losses);
    await check.compare('grad_norms', norms);
    await check.compare('lrs', rates);
  } finally {
    trainer.dispose();
    adapter.dispose();
  }
  return true;
}

async function settingsOf(models: Replay['models']): Promise<DiffusionSettings> {
  return diffusionSettings(defaultTrainOptions, (await models.model()).schedulerConfig);
}

/** Recorded batch number `index`: everything is [batches, examples, ...]. */
function partsOf(
  index: number,
  data: Readonly<Record<'latents' | 'noise' | 'timesteps' | 'contextIndex' | 'contexts', GoldenTensor>>,
): BatchParts {
  const [, n = 0, c = 0, h = 0, w = 0] = data.latents.shape;
  const size = n * c * h * w;
  const part = (golden: GoldenTensor): Float32Array =>
    toNhwc({
      shape: [n, c, h, w],
      values: Float32Array.from(golden.values).subarray(index * size, (index + 1) * size),
    });
  const [, tokens = 0, width = 0] = data.contexts.shape.slice(-3);
  const context = new Float32Array(n * tokens * width);
  for (let i = 0; i < n; i++) {
    const at = data.contextIndex.values[index * n + i]!;
    context.set(
      Float32Array.from(data.contexts.values).subarray(at * tokens * width, (at + 1) * tokens * width),
      i * tokens * width,
    );
  }
  return {
    shape: [n, h, w, c],
    clean: part(data.latents),
    noise: part(data.noise),
    timesteps: Array.from(data.timesteps.values).slice(index * n, (index + 1) * n),
    context,
    contextShape: [n, tokens, width],
  };
}
