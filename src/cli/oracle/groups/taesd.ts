/** TAESD's halves, from both layouts of its files: the second must give what the first gave, to the bit. */
import { keep, type Tensor } from '../../../gpu/ops.ts';
import type { TinyAutoencoder } from '../../../models/taesd.ts';
import { maxAbsError, toNchw, toNhwc } from '../check.ts';
import { channelsFirst } from './support.ts';
import type { Replay } from './types.ts';

/** TAESD's scaling of latents to 0..1, as its author stores them in pictures: z / 6 + 1/2, clamped. */
const scaleLatents = (z: Float32Array): Float32Array => z.map((value) => Math.min(1, Math.max(0, value / 6 + 0.5)));
const unscaleLatents = (u: Float32Array): Float32Array => u.map((value) => (value - 0.5) * 6);

export async function replayTaesdDecode({ models, check, input }: Replay): Promise<boolean> {
  const [diffusers, original] = await models.taesd();
  const latents = await input('latents');
  const [n, , h, w] = latents.shape as [number, number, number, number];
  const image = await tapped(diffusers, { check }, () => diffusers.decode(toNhwc(latents), [n, h, w]));
  check.record('the other layout', maxAbsError(await original.decode(toNhwc(latents), [n, h, w]), image), 0);
  const shape = [n, h * diffusers.factor, w * diffusers.factor, 3];
  await check.compare('image', toNchw(image, shape));
  const unit = image.map((value) => Math.min(1, Math.max(0, value / 2 + 0.5)));
  await check.compare('image_unit', toNchw(unit, shape));
  return true;
}

export async function replayTaesdEncode({ models, check, input }: Replay): Promise<boolean> {
  const [diffusers, original] = await models.taesd();
  const { values, shape } = await input('image');
  const [height, width] = shape as [number, number, number];
  const image = Float32Array.from(values, (value) => value / 127.5 - 1);
  const latents = await tapped(diffusers, { check }, () => diffusers.encode(image, [1, height, width]));
  check.record('the other layout', maxAbsError(await original.encode(image, [1, height, width]), latents), 0);
  await check.compare('latents', toNchw(latents, [1, height / diffusers.factor, width / diffusers.factor, 4]));
  return true;
}

export async function replayTaesdRoundtrip({ models, check, input }: Replay): Promise<boolean> {
  const [taesd] = await models.taesd();
  const { values, shape } = await input('image');
  const [height, width] = shape as [number, number, number];
  const image = Float32Array.from(values, (value) => value / 127.5 - 1);
  const latents = await taesd.encode(image, [1, height, width]);
  const [h, w] = [height / taesd.factor, width / taesd.factor];
  const scaled = scaleLatents(latents);
  await check.compare('latents', toNchw(latents, [1, h, w, 4]));
  await check.compare('scaled', toNchw(scaled, [1, h, w, 4]));
  await check.compare('unscaled', toNchw(unscaleLatents(scaled), [1, h, w, 4]));
  await check.compare('image_out', toNchw(await taesd.decode(latents, [1, h, w]), [1, height, width, 3]));
  return true;
}

async function tapped<T>(model: TinyAutoencoder, { check }: Pick<Replay, 'check'>, run: () => Promise<T>): Promise<T> {
  const taps = new Map<string, Tensor>();
  model.tap = (name, value) => {
    if (check.hasRole(`tap.${name}`)) taps.set(name, keep(value.clone()));
  };
  try {
    const result = await run();
    for (const [name, value] of taps) await check.compare(`tap.${name}`, await channelsFirst(value));
    return result;
  } finally {
    model.tap = undefined;
    for (const value of taps.values()) value.dispose();
  }
}
