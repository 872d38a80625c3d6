/** Linear layers: SD1.5's attention projections and feed-forward, with and without LoRA, forward and towards the input. */
import { add, matMul, mul } from '@tensorflow/tfjs-core';
import type { LoraBranch } from '../../src/gpu/kernels/loraBranch.ts';
import { linear } from '../../src/gpu/ops.ts';
import type { KernelCase } from '../compare.ts';
import { backwardOf, Inputs, transposed, type ModelSizes } from './inputs.ts';

export function linearCases({ side, width }: ModelSizes): (() => KernelCase)[] {
  return [
    () => plain(side ** 2, width, width),
    () => plain(side ** 2, width, width, true),
    () => plain(side ** 2 / 4, width * 2, width * 16),
    () => plain(side ** 2 / 16, width * 4, width * 4),
    () => withLora(side ** 2, width, 1),
    () => withLora(side ** 2, width, 3),
    () => towardsInput(side ** 2, width, width),
    () => towardsInput(side ** 2 / 4, width * 2, width * 16),
  ];
}

/** Activations as f32, weights as f16. */
function bytesOf(rows: number, inFeatures: number, outFeatures: number): number {
  return rows * (inFeatures + outFeatures) * 4 + inFeatures * outFeatures * 2;
}

/** `stored`: tfjs gets the weight as [in, out], which its matMul prefers but no checkpoint has. */
export function plain(rows: number, inFeatures: number, outFeatures: number, stored = false): KernelCase {
  const inputs = new Inputs();
  const x = inputs.float([rows, inFeatures]);
  const shape = [outFeatures, inFeatures] as const;
  const weight = inputs.weights(shape, stored ? (values) => transposed(values, ...shape) : undefined);
  const bias = inputs.float([outFeatures]);
  const weights = { weight: weight.packed, bias, inFeatures, outFeatures };
  return {
    name: `linear + bias${stored ? ', tfjs W transposed' : ''}`,
    shape: `${rows} x ${inFeatures} -> ${outFeatures}`,
    flop: 2 * rows * inFeatures * outFeatures,
    bytes: bytesOf(rows, inFeatures, outFeatures),
    ours: () => [linear(x, weights)],
    tfjs: () => [add(matMul(x, weight.float, false, !stored), bias)],
    dispose: () => inputs.dispose(),
  };
}

export function withLora(rows: number, width: number, groups: number): KernelCase {
  const rank = 4;
  const outFeatures = width * groups;
  const inputs = new Inputs();
  const x = inputs.float([rows, width]);
  const weight = inputs.weights([outFeatures, width]);
  const up = inputs.noise([outFeatures, rank], 0.1);
  const lora: LoraBranch = {
    a: inputs.float([groups * rank, width], 0.1),
    b: inputs.tensor(up, [outFeatures, rank]),
    scale: inputs.float([groups * rank]),
    groups,
  };
  // tfjs knows no groups: B becomes a matrix with each group's block in its own columns.
  const blocks = new Float32Array(outFeatures * groups * rank);
  for (let n = 0; n < outFeatures; n++) {
    blocks.set(up.subarray(n * rank, (n + 1) * rank), (n * groups + Math.floor(n / width)) * rank);
  }
  const b = inputs.tensor(blocks, [outFeatures, groups * rank]);
  const weights = { weight: weight.packed, bias: null, inFeatures: width, outFeatures };
  return {
    name: groups === 1 ? `linear + LoRA rank ${rank}` : `linear q, k, v + LoRA rank ${rank}`,
    shape: `${rows} x ${width} -> ${outFeatures}`,
    flop: 2 * rows * (width + rank) * outFeatures + 2 * rows * width * groups * rank,
    bytes: bytesOf(rows, width, outFeatures),
    ours: () => [linear(x, weights, { lora })],
    tfjs: () => {
      const t = mul(matMul(x, lora.a, false, true), lora.scale);
      return [add(matMul(x, weight.float, false, true), matMul(t, b, false, true))];
    },
    dispose: () => inputs.dispose(),
  };
}

export function towardsInput(rows: number, inFeatures: number, outFeatures: number): KernelCase {
  const inputs = new Inputs();
  const x = inputs.float([rows, inFeatures]);
  const dy = inputs.float([rows, outFeatures]);
  const weight = inputs.weights([outFeatures, inFeatures]);
  const backward = backwardOf(() => linear(x, { weight: weight.packed, bias: null, inFeatures, outFeatures }), dy, [
    'x',
  ]);
  return {
    name: 'linear dx',
    shape: `${rows} x ${outFeatures} -> ${inFeatures}`,
    flop: 2 * rows * inFeatures * outFeatures,
    bytes: bytesOf(rows, inFeatures, outFeatures),
    ours: () => backward.run(),
    tfjs: () => [matMul(dy, weight.float)],
    dispose: () => {
      backward.dispose();
      inputs.dispose();
    },
  };
}
