/** What the fit of latents' colours is made of and measured by. */
import type { RgbImage } from '../../src/core/image.ts';
import type { TorchGenerator } from '../../src/core/rng.ts';
import type { CachedLatents } from '../../src/latents/cache.ts';
import { previewLatents, type LatentPreview } from '../../src/latents/preview.ts';
import { fitTo, resizeLanczos } from '../../src/sampler/resample.ts';

/** A square of `side` pixels somewhere in the picture; a picture that is smaller is enlarged. */
export function randomCrop(image: RgbImage, side: number, rng: TorchGenerator): RgbImage {
  const [x = 0, y = 0] = rng.rand(2);
  if (image.width < side || image.height < side) return fitTo(image, side, side);
  const left = Math.floor(x * (image.width - side + 1));
  const top = Math.floor(y * (image.height - side + 1));
  const data = new Uint8Array(side * side * 3);
  for (let row = 0; row < side; row++) {
    const from = ((top + row) * image.width + left) * 3;
    data.set(image.data.subarray(from, from + side * 3), row * side * 3);
  }
  return { width: side, height: side, data };
}

/** How far painted latents are from the pictures shrunk to their size, root mean square over all values, of 255. */
export function rmsError(
  colours: LatentPreview,
  pairs: readonly { readonly image: RgbImage; readonly latents: CachedLatents }[],
  scalingFactor: number,
): number {
  let sum = 0;
  let count = 0;
  for (const { image, latents } of pairs) {
    const scaled = latents.plain.mean.map((value) => value * scalingFactor);
    const painted = previewLatents(colours, scaled, latents.height, latents.width);
    const wanted = resizeLanczos(image, latents.width, latents.height);
    painted.data.forEach((value, i) => (sum += (value - wanted.data[i]!) ** 2));
    count += painted.data.length;
  }
  return Math.sqrt(sum / count);
}
