/** Attention with several heads against matMul, softmax, matMul: the whole score matrix, for each head, through memory. */
import { concat, matMul, mul, reshape, softmax, split, sub, sum, transpose } from '@tensorflow/tfjs-core';
import { crossAttention, selfAttention, tidy, type Tensor } from '../../src/gpu/ops.ts';
import type { KernelCase } from '../compare.ts';
import { backwardOf, Inputs, type ModelSizes } from './inputs.ts';

export function attentionCases({ side, width, heads, tokens }: ModelSizes): (() => KernelCase)[] {
  return [
    () => self(side ** 2, width, heads, false),
    () => self(side ** 2 / 4, width * 2, heads, false),
    () => self(side ** 2 / 16, width * 4, heads, false),
    () => cross(side ** 2, tokens, width, heads, false),
    () => self(side ** 2, width, heads, true),
    () => self(side ** 2 / 4, width * 2, heads, true),
    () => self(side ** 2 / 16, width * 4, heads, true),
    () => cross(side ** 2, tokens, width, heads, true),
  ];
}

export function self(length: number, width: number, heads: number, backward: boolean): KernelCase {
  const inputs = new Inputs();
  const qkv = inputs.float([1, length, width * 3], 2);
  return attentionCase({
    name: 'self attention',
    inputs,
    length,
    keys: length,
    width,
    heads,
    backward,
    parts: () => split(qkv, 3, -1) as [Tensor, Tensor, Tensor],
    join: ([dq, dk, dv]) => [concat([dq, dk, dv], -1)],
    ours: () => selfAttention(qkv, { heads }),
  });
}

export function cross(length: number, keys: number, width: number, heads: number, backward: boolean): KernelCase {
  const inputs = new Inputs();
  const q = inputs.float([1, length, width], 2);
  const kv = inputs.float([1, keys, width * 2], 2);
  return attentionCase({
    name: `cross attention to ${keys}`,
    inputs,
    length,
    keys,
    width,
    heads,
    backward,
    parts: () => [q, ...(split(kv, 2, -1) as [Tensor, Tensor])],
    join: ([dq, dk, dv]) => [dq, concat([dk, dv], -1)],
    ours: () => crossAttention(q, kv, { heads }),
  });
}

interface Attention {
  readonly name: string;
  readonly inputs: Inputs;
  readonly length: number;
  readonly keys: number;
  readonly width: number;
  readonly heads: number;
  readonly backward: boolean;
  readonly parts: () => [q: Tensor, k: Tensor, v: Tensor];
  readonly join: (gradients: [dq: Tensor, dk: Tensor, dv: Tensor]) => Tensor[];
  readonly ours: () => Tensor;
}

function attentionCase({
  name,
  inputs,
  length,
  keys,
  width,
  heads,
  backward,
  parts,
  join,
  ours,
}: Attention): KernelCase {
  const scale = 1 / Math.sqrt(width / heads);
  /** [1, L, C] -> [heads, L, C / heads]. */
  const apart = (x: Tensor): Tensor => transpose(reshape(x, [x.shape[1]!, heads, width / heads]), [1, 0, 2]);
  const together = (x: Tensor): Tensor => reshape(transpose(x, [1, 0, 2]), [1, x.shape[1]!, width]);
  const probabilities = (q: Tensor, k: Tensor): Tensor => softmax(mul(matMul(q, k, false, true), scale));
  const shape = `${length} x ${heads} heads of ${width / heads}`;
  const flop = 4 * length * keys * width;
  if (!backward) {
    return {
      name,
      shape,
      flop,
      bytes: 2 * (length + keys) * width * 4,
      ours: () => [ours()],
      tfjs: () => {
        const [q, k, v] = parts().map(apart) as [Tensor, Tensor, Tensor];
        return [together(matMul(probabilities(q, k), v))];
      },
      dispose: () => inputs.dispose(),
    };
  }
  const dy = inputs.float([1, length, width]);
  const ourBackward = backwardOf(ours, dy);
  const [q, k, v, p] = tidy(() => {
    const [queries, keyVectors, values] = parts().map(apart) as [Tensor, Tensor, Tensor];
    return [queries, keyVectors, values, probabilities(queries, keyVectors)];
  }).map((t) => inputs.own(t)) as [Tensor, Tensor, Tensor, Tensor];
  return {
    name: `${name}, backward`,
    shape,
    flop: flop * 2.5,
    // q, k, v, the output and its gradient in; three gradients out.
    bytes: 4 * (length + keys) * width * 4,
    ours: () => ourBackward.run(),
    // What tfjs would keep from the forward pass (q, k, v and all probabilities) is given.
    tfjs: () => {
      const dout = apart(dy);
      const dp = matMul(dout, v, false, true);
      const ds = mul(mul(p, sub(dp, sum(mul(dp, p), -1, true))), scale);
      return join([
        together(matMul(ds, k)),
        together(matMul(ds, q, true, false)),
        together(matMul(p, dout, true, false)),
      ]);
    },
    dispose: () => {
      ourBackward.dispose();
      inputs.dispose();
    },
  };
}
