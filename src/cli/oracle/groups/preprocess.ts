/** From a picture's bytes to the model's input. */
import {
  centerCrop,
  flipHorizontal,
  preprocessTensor,
  resizeShorterSide,
  toModelRange,
} from '../../../dataset/preprocess.ts';
import { toNchw } from '../check.ts';
import { rgb } from './support.ts';
import type { Replay } from './types.ts';

export async function replayPreprocess({ check, input }: Replay): Promise<boolean> {
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
