/** The UNet's output and the values inside it. */
import { keep, tensor, type Tensor } from '../../../gpu/ops.ts';
import { toNhwc } from '../check.ts';
import type { OracleModels } from '../models.ts';
import { channelsFirst, perSample } from './support.ts';
import type { Replay } from './types.ts';

export async function replayUNet({ models, check, input }: Replay): Promise<boolean> {
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
export async function compareUNet(
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
