// Plan: every shape of tile gives the bits of the default, outputs and gradients: linear layers and convolutions with all that may hang
// on them, whose sizes no tile divides, whose LoRA groups share tiles, and whose depth is split among workgroups. A pipeline takes a
// software GPU a second or two to compile, so each kernel gets the shapes that differ most from the default: with two loads of
// rows or of columns for an invocation, and with invocations that load nothing.
import { tensor } from '@tensorflow/tfjs-core';
import { afterEach, describe, expect, test } from 'vitest';
import { defined } from '../../core/invariant.ts';
import { float32ToFloat16 } from '../../core/float16.ts';
import { vjp } from '../gradients.ts';
import { frozenTensor, readTensor } from '../ops.ts';
import type { Tensor } from '../runtime.ts';
import { noise, packedWeights, useTestRuntime } from '../testing.ts';
import { conv2d, packConvWeights } from './conv2d.ts';
import { linear } from './linear.ts';
import { depthSplits } from './splitDepth.ts';
import { defaultTile, forceTile, nameOf, tileShapes, type TileShape } from './tile.ts';

useTestRuntime({ asGpu: true });
afterEach(() => forceTile(null));

function values(shape: number[], seed: number, scale = 1): Tensor {
  const size = shape.reduce((a, b) => a * b, 1);
  return tensor(noise(size, seed, scale), shape);
}

/** The bits of the output of `f`, in tiles of shape `forward`, and of the gradients of its inputs, in tiles of shape `backward`. */
async function bitsOf(
  { forward, backward }: Shapes,
  inputs: Tensor[],
  f: (inputs: Tensor[]) => Tensor,
): Promise<Uint32Array[]> {
  forceTile(forward);
  const tape = vjp(() => [f(inputs)], inputs);
  forceTile(backward);
  const dy = values(tape.outputs[0]!.shape, 99);
  const bits: Uint32Array[] = [];
  for (const result of [tape.outputs[0]!, ...tape.backward([dy])]) {
    bits.push(new Uint32Array((await readTensor(result!)).buffer));
    result!.dispose();
  }
  for (const t of [dy, ...inputs]) t.dispose();
  return bits;
}

interface Shapes {
  readonly forward: TileShape;
  readonly backward: TileShape;
}

interface LinearCase {
  readonly rows: number;
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly groups: number;
  readonly rank: number;
}

function runLinear(
  { rows, inFeatures, outFeatures, groups, rank }: LinearCase,
  shapes: Shapes,
): Promise<Uint32Array[]> {
  const inputs = [
    values([rows, inFeatures], 1),
    values([rows, outFeatures], 2),
    values([groups * rank, inFeatures], 3, 0.5),
    values([outFeatures, rank], 4, 0.5),
  ];
  return bitsOf(shapes, inputs, ([x, residual, a, b]) =>
    linear(
      x!,
      {
        weight: packedWeights(noise(outFeatures * inFeatures, 5, 0.5)),
        bias: values([outFeatures], 6),
        inFeatures,
        outFeatures,
      },
      { residual: residual!, lora: { a: a!, b: b!, scale: values([groups * rank], 7), groups } },
    ),
  );
}

interface ConvCase {
  readonly input: [number, number, number, number];
  readonly outChannels: number;
  readonly stride: 1 | 2;
}

function runConv({ input, outChannels, stride }: ConvCase, shapes: Shapes): Promise<Uint32Array[]> {
  const [images, height, width, inChannels] = input;
  const output = [images, Math.ceil(height / stride), Math.ceil(width / stride), outChannels];
  const weight = float32ToFloat16(noise(outChannels * inChannels * 9, 5, 0.5));
  const inputs = [values(input, 1), values([images, outChannels], 2), values(output, 3)];
  return bitsOf(shapes, inputs, ([x, time, residual]) =>
    conv2d(
      x!,
      {
        weight: frozenTensor(packConvWeights(weight, [outChannels, inChannels, 3, 3])),
        bias: values([outChannels], 6),
        kernelSize: 3,
        inChannels,
        outChannels,
      },
      { stride, padding: [1, 1, 1, 1], timeEmbedding: time!, residual: residual! },
    ),
  );
}

describe('a tile of any shape gives the bits of the default', () => {
  async function expectSameBits(
    run: (shapes: Shapes) => Promise<Uint32Array[]>,
    { forward, backward }: { readonly forward: readonly TileShape[]; readonly backward: readonly TileShape[] },
  ): Promise<void> {
    const defaults = { forward: defaultTile, backward: defaultTile };
    const expected = await run(defaults);
    for (const tile of forward) {
      expect({ tile, bits: await run({ ...defaults, forward: tile }) }).toEqual({ tile, bits: expected });
    }
    for (const tile of backward) {
      expect({ tile, bits: await run({ ...defaults, backward: tile }) }).toEqual({ tile, bits: expected });
    }
  }

  const shape = (name: string): TileShape => defined(tileShapes.find((known) => nameOf(known) === name));
  /** Named after what an invocation loads. */
  const [twiceRows, twiceColumns, large] = [shape('64x32'), shape('32x64'), shape('128x128')];

  test.each<LinearCase>([
    { rows: 150, inFeatures: 36, outFeatures: 140, groups: 5, rank: 18 },
    { rows: 70, inFeatures: 800, outFeatures: 180, groups: 3, rank: 20 },
  ])('linear: $rows x $inFeatures -> $outFeatures, $groups groups', (sizes) =>
    expectSameBits((shapes) => runLinear(sizes, shapes), { forward: [large], backward: [twiceRows] }),
  );

  test.each<ConvCase>([
    { input: [2, 9, 7, 20], outChannels: 132, stride: 1 },
    { input: [1, 10, 14, 24], outChannels: 72, stride: 2 },
    { input: [1, 8, 8, 100], outChannels: 140, stride: 1 },
  ])('conv2d: $input -> $outChannels, stride $stride', (sizes) =>
    expectSameBits((shapes) => runConv(sizes, shapes), { forward: [twiceRows], backward: [twiceColumns] }),
  );

  test('and some of these have their depth split', () => {
    expect(depthSplits({ rows: 70, columns: 180, depth: 800 })).toBe(4);
    expect(depthSplits({ rows: 64, columns: 140, depth: 900 })).toBe(4);
  });
});
