/**
 * Whether a drawn picture is a picture at all. A model that is broken by training ends in one of two ways: a single colour (most often
 * black: numbers overflowed in the decoder), or noise. Pictures of the world are between: neighbouring pixels resemble each
 * other, distant ones do not.
 */
import type { RgbImage } from '../core/image.ts';

export type PictureHealth = 'fine' | 'black' | 'blank' | 'noise';

/** Standard deviations, of 0..255, under which a picture shows one colour only. */
const blankDeviation = 2;

/**
 * Von Neumann's ratio (1941): the mean squared difference of neighbours over twice the variance. Independent pixels give 1,
 * photographs 0.01 to 0.2, drawings of 64 px up to 0.5.
 */
const noiseRatio = 0.8;

/** Judges by the grey values, so that a gradient of colours is not taken for a blank. */
export function pictureHealth({ width, height, data }: RgbImage): PictureHealth {
  const pixels = width * height;
  const grey = new Float64Array(pixels);
  let sum = 0;
  for (let i = 0; i < pixels; i++) {
    grey[i] = 0.299 * data[3 * i]! + 0.587 * data[3 * i + 1]! + 0.114 * data[3 * i + 2]!;
    sum += grey[i]!;
  }
  const mean = sum / pixels;
  const variance = grey.reduce((total, value) => total + (value - mean) ** 2, 0) / pixels;
  if (Math.sqrt(variance) < blankDeviation) return mean < 8 ? 'black' : 'blank';
  let differences = 0;
  let pairs = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = y * width + x;
      if (x + 1 < width) differences += (grey[at]! - grey[at + 1]!) ** 2;
      if (y + 1 < height) differences += (grey[at]! - grey[at + width]!) ** 2;
      pairs += Number(x + 1 < width) + Number(y + 1 < height);
    }
  }
  return differences / pairs / (2 * variance) > noiseRatio ? 'noise' : 'fine';
}
