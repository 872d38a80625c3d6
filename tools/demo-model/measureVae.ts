/** How well the autoencoder gives a drawing back. */
import type { RgbImage } from '../../src/core/image.ts';
import { decodeLatents } from '../../src/sampler/image.ts';
import { toModelRange } from '../../src/dataset/preprocess.ts';
import { imageGrid } from '../../src/cli/grid.ts';
import { drawingNames } from './drawings.mjs';
import type { MeasureRun } from './measureRun.ts';
import { mean, psnr, spread } from './measureScores.ts';

/** Drawings shown in vae.png, above what the autoencoder makes of them. */
const shown = 16;

export interface VaeReport {
  readonly drawings: number;
  /** Mean over the drawings of each one's PSNR in dB, between 8-bit pictures. */
  readonly meanPsnr: number;
  readonly worst: { readonly name: string; readonly psnr: number };
}

/** Encodes and decodes `count` drawings on white, by the mean of the latents' distribution. */
export async function measureVae(run: MeasureRun, count: number): Promise<VaeReport> {
  const names = spread(drawingNames(), count);
  const vae = await run.model.loadVae({ encoder: true, decoder: true });
  const { scalingFactor } = vae.config;
  const results: { name: string; psnr: number }[] = [];
  const originals: RgbImage[] = [];
  const decoded: RgbImage[] = [];
  run.begin('VAE', names.length);
  for (const name of names) {
    const drawing = await run.plain(name);
    const { mean: latents, shape } = await vae.encode(toModelRange(drawing), [1, run.side, run.side]);
    const picture = await decodeLatents(
      vae,
      latents.map((value) => value * scalingFactor),
      [shape[1], shape[2]],
    );
    results.push({ name, psnr: psnr(drawing, picture) });
    if (originals.length < shown) {
      originals.push(drawing);
      decoded.push(picture);
    }
    run.tick('VAE', results.length, names.length);
  }
  vae.dispose();
  await run.save('vae.png', imageGrid([...originals, ...decoded], originals.length));
  const worst = results.reduce((low, result) => (result.psnr < low.psnr ? result : low));
  return { drawings: results.length, meanPsnr: mean(results.map((result) => result.psnr)), worst };
}
