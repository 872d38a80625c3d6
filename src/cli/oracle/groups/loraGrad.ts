/** Gradients of the training loss. */
import { TrainableAdapter } from '../../../adapter/lora.ts';
import { defined } from '../../../core/invariant.ts';
import { readTensor, tensor } from '../../../gpu/ops.ts';
import { checkpointedGradients } from '../../../nn/segments.ts';
import { withLoss } from '../../../trainer/trainer.ts';
import { toNchw, toNhwc } from '../check.ts';
import { modulesOf, pairsOf } from '../loraSets.ts';
import { perSample } from './support.ts';
import type { Replay } from './types.ts';

export async function replayLoraGrad({ pack, models, oracleCase, check, input }: Replay): Promise<boolean> {
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
