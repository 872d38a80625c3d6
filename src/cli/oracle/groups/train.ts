/** Whole training runs of a few steps. */
import { TrainableAdapter } from '../../../adapter/trainable.ts';
import { defined } from '../../../core/invariant.ts';
import { addNoise } from '../../../schedulers/ddpm.ts';
import { createNoiseSchedule } from '../../../schedulers/noiseSchedule.ts';
import { defaultAdamW, LoraTrainer, type NoisyBatch } from '../../../trainer/trainer.ts';
import { toNhwc } from '../check.ts';
import { layersOf, modulesOfSet, pairsOf } from '../loraSets.ts';
import type { GoldenTensor } from '../pack.ts';
import type { Replay } from './types.ts';

/** Options of training cases that are not built yet: clipping, min-SNR, accumulation, schedules. */
export async function replayTrain({ pack, models, oracleCase, check, input }: Replay): Promise<boolean> {
  const { params, roles, tolerance } = oracleCase;
  const set = params['set'] as Record<string, unknown> | undefined;
  if (!set || Object.keys(set).length > 0 || params['optimizer'] !== 'AdamW') return false;
  const unet = await models.unet();
  const alpha = Number(params['alpha']);
  const initial = await pack.tensors(defined(roles['init']));
  const modules = modulesOfSet(initial, alpha);
  const layers = await layersOf(models, modules);
  if (!layers) return false;
  const adapter = TrainableAdapter.fromModules(layers, modules);
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
