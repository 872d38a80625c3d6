/** Element by element: GEGLU, quick GELU, SiLU and doubling of the size. */
import { add, erf, image, mul, sigmoid, split } from '@tensorflow/tfjs-core';
import { geglu, quickGelu, silu, upsampleNearest2x, type Tensor } from '../../src/gpu/ops.ts';
import type { KernelCase } from '../compare.ts';
import { Inputs, type ModelSizes } from './inputs.ts';
import { pair } from './norms.ts';

export function gegluCase(rows: number, width: number, backward: boolean): KernelCase {
  const inputs = new Inputs();
  const x = inputs.float([1, rows, width * 8], 3);
  const tfjs = (): Tensor => {
    const [a, b] = split(x, 2, -1);
    return mul(a!, mul(mul(b!, 0.5), add(erf(mul(b!, Math.SQRT1_2)), 1)));
  };
  return pair('GEGLU', x, inputs, backward, () => geglu(x), tfjs, 0.75);
}

export function pointwiseCases({ side, width, contextWidth, tokens }: ModelSizes): (() => KernelCase)[] {
  return [
    () => gegluCase(side ** 2, width, false),
    () => gegluCase(side ** 2, width, true),
    () => {
      const inputs = new Inputs();
      const x = inputs.float([1, tokens, contextWidth * 4], 3);
      return pair(
        'quick GELU',
        x,
        inputs,
        false,
        () => quickGelu(x),
        () => mul(x, sigmoid(mul(x, 1.702))),
      );
    },
    () => {
      const inputs = new Inputs();
      const x = inputs.float([1, side, side, width], 3);
      return pair(
        'SiLU',
        x,
        inputs,
        false,
        () => silu(x),
        () => mul(x, sigmoid(x)),
      );
    },
    () => {
      const inputs = new Inputs();
      const x = inputs.float([1, side / 2, side / 2, width * 2]);
      const size: [number, number] = [side, side];
      return pair(
        'upsample x2',
        x,
        inputs,
        false,
        () => upsampleNearest2x(x),
        () => image.resizeNearestNeighbor(x as Parameters<typeof image.resizeNearestNeighbor>[0], size),
        2.5,
      );
    },
  ];
}
