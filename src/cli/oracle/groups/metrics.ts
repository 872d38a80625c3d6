/** PSNR and SSIM of pairs of pictures. */
import type { RgbImage } from '../../../core/image.ts';
import { psnr, ssim } from '../../../evaluation/imageMetrics.ts';
import { rgb } from './support.ts';
import type { Replay } from './types.ts';

const METRICS: Readonly<Record<string, (a: RgbImage, b: RgbImage) => number>> = {
  psnr,
  ssim_uniform7: (a, b) => ssim(a, b, 'uniform'),
  ssim_gaussian: (a, b) => ssim(a, b, 'gaussian'),
};

export async function replayMetrics({ oracleCase, check, input }: Replay): Promise<boolean> {
  const [a, b] = [rgb(await input('a_hwc')), rgb(await input('b_hwc'))];
  const metrics = (oracleCase.params['order'] as readonly string[]).flatMap((name) => METRICS[name] ?? []);
  await check.compare(
    'values',
    metrics.map((metric) => metric(a, b)),
  );
  return true;
}
