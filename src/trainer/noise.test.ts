// Plan: plain noise is torch's; it depends on (seed, batch) alone; an offset adds one number a channel of an example; pyramids keep a
// deviation of 1 and are smoother; bilinear enlargement by hand.
import { expect, test } from 'vitest';
import { deriveSeed, TorchGenerator } from '../core/rng.ts';
import { trainingNoise, type NoiseOptions } from './noise.ts';

const plain: NoiseOptions = { noiseOffset: 0, pyramidNoise: { iterations: 0, discount: 0.35 } };
const shape = [2, 16, 12, 4] as const;
const place = { seed: 42, batch: 7 };

const mean = (values: Iterable<number>): number => {
  const list = Array.from(values);
  return list.reduce((a, b) => a + b, 0) / list.length;
};

test('plain noise is what torch draws', () => {
  const expected = new TorchGenerator(deriveSeed(42, 'noise', 7)).randn(shape);
  expect(trainingNoise(shape, plain, place)).toEqual(expected);
});

test('depends on seed and batch alone', () => {
  const options = { noiseOffset: 0.1, pyramidNoise: { iterations: 4, discount: 0.5 } };
  const noise = trainingNoise(shape, options, place);
  expect(trainingNoise(shape, options, place)).toEqual(noise);
  expect(trainingNoise(shape, options, { seed: 42, batch: 8 })).not.toEqual(noise);
  expect(trainingNoise(shape, options, { seed: 43, batch: 7 })).not.toEqual(noise);
});

test('an offset moves each channel of each example as a whole', () => {
  const noise = trainingNoise(shape, plain, place);
  const moved = trainingNoise(shape, { ...plain, noiseOffset: 0.5 }, place);
  const offsets = new TorchGenerator(deriveSeed(42, 'noise offset', 7)).randn(8);
  moved.forEach((value, i) => {
    const channel = Math.floor(i / (16 * 12 * 4)) * 4 + (i % 4);
    expect(value - noise[i]!).toBeCloseTo(0.5 * offsets[channel]!, 5);
  });
});

test('pyramid noise has a deviation of 1, and neighbours are alike', () => {
  const neighbours = (values: Float32Array): number => {
    const products: number[] = [];
    for (let i = 0; i + 4 < values.length; i++)
      if (Math.floor(i / 48) === Math.floor((i + 4) / 48)) products.push(values[i]! * values[i + 4]!);
    return mean(products);
  };
  const noise = trainingNoise(shape, { ...plain, pyramidNoise: { iterations: 6, discount: 0.8 } }, place);
  const average = mean(noise);
  expect(mean(noise.map((value) => (value - average) ** 2))).toBeCloseTo(1, 2);
  expect(neighbours(noise)).toBeGreaterThan(0.15);
  expect(Math.abs(neighbours(trainingNoise(shape, plain, place)))).toBeLessThan(0.1);
});

test('two levels by hand: the second grid, enlarged as torch does it', () => {
  // One channel, one example, 1 x 4: the coarse grid has one row and one or two columns.
  const size = [1, 1, 4, 1] as const;
  const pyramid = { iterations: 1, discount: 0.5 };
  const base = trainingNoise(size, plain, place);
  const generator = new TorchGenerator(deriveSeed(42, 'pyramid noise', 7));
  generator.rand(1);
  // The first level is of full size, as in sd-scripts, and of full strength.
  const first = generator.randn(4);
  const summed = base.map((value, i) => value + first[i]!);
  const average = mean(summed);
  const deviation = Math.sqrt(summed.reduce((sum, value) => sum + (value - average) ** 2, 0) / 3);
  trainingNoise(size, { ...plain, pyramidNoise: pyramid }, place).forEach((value, i) =>
    expect(value).toBeCloseTo(summed[i]! / deviation, 5),
  );
});
