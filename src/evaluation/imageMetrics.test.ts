/** Plan: every pair of pictures that the oracle measured with skimage; symmetry; pictures that cannot be compared. */
import { describe, expect, it } from 'vitest';
import { golden, oracleCases, type OracleCase } from '../../tools/testing.ts';
import type { RgbImage } from '../core/image.ts';
import { ImageMetricError, likenessOf, psnr, ssim } from './imageMetrics.ts';

async function picture(c: OracleCase, role: string): Promise<RgbImage> {
  const { values, shape } = await golden(c, role);
  return { width: shape[1]!, height: shape[0]!, data: Uint8Array.from(values) };
}

describe('image metrics', () => {
  it.each(oracleCases('metrics/'))('measure as skimage does: $id', async (c) => {
    const [a, b] = [await picture(c, 'a_hwc'), await picture(c, 'b_hwc')];
    const known = c.params['values'] as Record<'psnr' | 'ssim_uniform7' | 'ssim_gaussian', number | 'inf'>;
    expect(psnr(a, b)).toBeCloseTo(known.psnr === 'inf' ? Infinity : known.psnr, 6);
    expect(ssim(a, b, 'uniform')).toBeCloseTo(Number(known.ssim_uniform7), 6);
    expect(ssim(a, b, 'gaussian')).toBeCloseTo(Number(known.ssim_gaussian), 6);
    expect(ssim(b, a, 'gaussian')).toBeCloseTo(ssim(a, b, 'gaussian'), 12);
  });

  it('refuses pictures of two sizes, and smaller ones than the window', () => {
    const blank = (width: number, height: number): RgbImage => ({
      width,
      height,
      data: new Uint8Array(width * height * 3),
    });
    expect(() => psnr(blank(8, 8), blank(8, 9))).toThrow(
      'Pictures of 8 x 8 and 8 x 9 pixels are compared, but they must be of one size.',
    );
    expect(() => ssim(blank(8, 6), blank(8, 6), 'uniform')).toThrow(ImageMetricError);
    expect(() => ssim(blank(10, 20), blank(10, 20), 'gaussian')).toThrow('each side must have at least 11 pixels');
    expect(ssim(blank(7, 7), blank(7, 7), 'uniform')).toBe(1);
    expect(likenessOf(blank(16, 16), blank(16, 17))).toBeNull();
    expect(likenessOf(blank(16, 16), blank(16, 16))).toEqual({ psnr: Infinity, ssim: 1 });
  });
});
