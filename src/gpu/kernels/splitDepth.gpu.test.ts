// Plan: on a software GPU that is taken for a real one, as nothing is split elsewhere: products whose depth is split among
// workgroups: linear with and without LoRA, convolutions of stride 1 and 2, forward and backward, against the CPU reference, with all
// that may hang on them; the same bytes in every run; when depths are split.
import { tensor } from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { float32ToFloat16 } from '../../core/float16.ts';
import { frozenTensor, readTensor } from '../ops.ts';
import { runtime } from '../runtime.ts';
import { checkOp, noise, packedWeights, useTestRuntime } from '../testing.ts';
import { conv2d, packConvWeights } from './conv2d.ts';
import { linear } from './linear.ts';
import { depthSplits } from './splitDepth.ts';

useTestRuntime({ asGpu: true });

const input = (shape: number[], seed: number, scale = 1): { shape: number[]; values: Float32Array } => ({
  shape,
  values: noise(
    shape.reduce((a, b) => a * b, 1),
    seed,
    scale,
  ),
});

describe('split depth', () => {
  test('is chosen for few tiles of a long depth: the lowest level of SD1.5', () => {
    expect(depthSplits({ rows: 64, columns: 1280, depth: 9 * 1280 })).toBe(8);
    expect(depthSplits({ rows: 64, columns: 1280, depth: 1280 })).toBe(6);
    expect(depthSplits({ rows: 256, columns: 1280, depth: 1280 })).toBe(1);
    expect(depthSplits({ rows: 4096, columns: 320, depth: 9 * 960 })).toBe(1);
    // A time embedding.
    expect(depthSplits({ rows: 1, columns: 1280, depth: 1280 })).toBe(1);
  });

  const [inFeatures, outFeatures] = [800, 772];
  const weight = noise(outFeatures * inFeatures, 5, 0.05);
  const layer = (): Parameters<typeof linear>[1] => ({
    weight: packedWeights(weight),
    bias: tensor(noise(outFeatures, 6)),
    inFeatures,
    outFeatures,
  });

  test('linear with bias, residual and LoRA', async () => {
    await checkOp({
      inputs: {
        x: input([2, 9, inFeatures], 1),
        residual: input([2, 9, outFeatures], 2),
        a: input([4, inFeatures], 3, 0.1),
        b: input([outFeatures, 4], 4, 0.1),
      },
      f: ({ x, residual, a, b }) =>
        linear(x!, layer(), {
          residual: residual!,
          lora: { a: a!, b: b!, scale: tensor([1, 0.5, 2, 1]), groups: 1 },
        }),
      atol: 1e-4,
      gradientAtol: 1e-3,
    });
  });

  test.each([1, 2] as const)('conv2d, stride %i, with bias, time embedding and residual', async (stride) => {
    const [inChannels, outChannels, side] = [200, 204, 8];
    const shape = [1, side / stride, side / stride, outChannels];
    const halves = float32ToFloat16(noise(outChannels * inChannels * 9, 5, 0.05));
    await checkOp({
      inputs: {
        x: input([1, side, side, inChannels], 1),
        time: input([1, outChannels], 2),
        residual: input(shape, 3),
      },
      f: ({ x, time, residual }) =>
        conv2d(
          x!,
          {
            weight: frozenTensor(packConvWeights(halves, [outChannels, inChannels, 3, 3])),
            bias: tensor(noise(outChannels, 6)),
            kernelSize: 3,
            inChannels,
            outChannels,
          },
          { stride, padding: [1, 1, 1, 1], timeEmbedding: time!, residual: residual! },
        ),
      atol: 1e-4,
      gradientAtol: 2e-4,
    });
  });

  test('gives the same bytes in every run, in two dispatches', async () => {
    const x = tensor(noise(18 * inFeatures, 1), [18, inFeatures]);
    const weights = layer();
    const run = async (): Promise<Float32Array> => {
      const before = runtime().counters.dispatches;
      const y = linear(x, weights);
      expect(runtime().counters.dispatches - before).toBe(2);
      const values = await readTensor(y);
      y.dispose();
      return values;
    };
    const first = await run();
    for (let i = 0; i < 3; i++) expect(await run()).toEqual(first);
  });
});
