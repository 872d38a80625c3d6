/** Encoder and decoder of the VAE. */
import { keep, type Tensor } from '../../../gpu/ops.ts';
import { sampleLatents } from '../../../latents/cache.ts';
import { toNchw, toNhwc } from '../check.ts';
import { channelsFirst } from './support.ts';
import type { Replay } from './types.ts';

export async function replayVae({ models, oracleCase, check, input }: Replay): Promise<boolean> {
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
