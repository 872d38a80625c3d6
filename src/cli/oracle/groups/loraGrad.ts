/** Gradients of the training loss towards every A and B, of the UNet's adapter, the text encoder's or both. */
import { TrainableAdapter } from '../../../adapter/trainable.ts';
import { defined } from '../../../core/invariant.ts';
import { readTensor, tensor, type Tensor } from '../../../gpu/ops.ts';
import { checkpointedGradients, type Segment } from '../../../nn/segments.ts';
import { withLoss } from '../../../trainer/trainer.ts';
import { toNchw, toNhwc } from '../check.ts';
import { layersOf, pairsOf, readLoraSet } from '../loraSets.ts';
import { perSample, rowsOf } from './support.ts';
import type { Replay } from './types.ts';

export async function replayLoraGrad({ pack, models, oracleCase, check, input }: Replay): Promise<boolean> {
  const { params, roles, tolerance } = oracleCase;
  const unet = await models.unet();
  const sets = Object.keys(roles).filter((role) => role.startsWith('lora_'));
  const alpha = Number(params['alpha']);
  const modules = await Promise.all(sets.map((role) => readLoraSet(pack, defined(roles[role]), { alpha })));
  const joined = new Map(modules.flatMap((set) => [...set]));
  const layers = await layersOf(models, joined);
  if (!layers) return false;
  const adapter = TrainableAdapter.fromModules(layers, joined);
  const noisy = await input('noisy');
  const [n, c, h, w] = noisy.shape as [number, number, number, number];
  const inputs = new Map<string, Tensor>([
    ['sample', tensor(toNhwc(noisy), [n, h, w, c])],
    ['target', tensor(toNhwc(await input('noise')), [n, h, w, c])],
    ['time', unet.embedTime(perSample((await input('timesteps')).values, n))],
  ]);
  const segments: Segment[] = withLoss(unet.segments());
  if (layers.some(({ part }) => part === 'textEncoder')) {
    const encoder = await models.textEncoder();
    inputs.set('tokens', await encoder.embed(rowsOf(await input('ids'))));
    segments.unshift(...encoder.segments());
  } else {
    const context = await input('context');
    inputs.set('context', tensor(Float32Array.from(context.values), context.shape));
  }
  // The recorded loss is the mean over all examples.
  const one = tensor(new Float32Array(n).fill(1 / n), [n]);
  try {
    const parameters = adapter.parameters();
    const result = checkpointedGradients(segments, inputs, parameters, { loss: 'loss', one, gradientsOf: ['context'] });
    const values = new Map<number, Float32Array>();
    for (const [i, gradient] of result.parameters.entries()) {
      values.set(parameters[i]!.id, await readTensor(defined(gradient, 'gradient')));
      gradient!.dispose();
    }
    const losses = await readTensor(defined(result.outputs.get('loss')));
    await check.compare('loss', [losses.reduce((a, b) => a + b, 0) / n]);
    await check.compare('pred', toNchw(await readTensor(defined(result.outputs.get('out'))), [n, h, w, c]));
    await check.compare('grad_context', await readTensor(defined(result.values.get('context'))));
    const reference = defined(roles['grads']);
    const recorded = await pack.tensors(reference);
    const gradients = adapter.split((parameter) => defined(values.get(parameter.id)));
    for (const { name, actual, expected } of pairsOf(gradients, recorded)) {
      check.note(name, actual, expected, tolerance[reference] ?? {});
    }
    for (const t of [...result.outputs.values(), ...result.values.values()]) t.dispose();
  } finally {
    one.dispose();
    for (const t of inputs.values()) t.dispose();
    adapter.dispose();
  }
  return true;
}
