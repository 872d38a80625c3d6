/** Sizes and tensors that the kernel cases share. */
import { onesLike } from '@tensorflow/tfjs-core';
import { float16ToFloat32, float32ToFloat16 } from '../../src/core/float16.ts';
import { defined } from '../../src/core/invariant.ts';
import { frozenTensor, tensor, uploadTensor, type Tensor } from '../../src/gpu/ops.ts';
import { vjp } from '../../src/gpu/gradients.ts';
import { recordTape } from '../../src/gpu/runtime.ts';

/** SD1.5 at 512 px, everything times `scale`: heads keep their width and groups theirs, so that kernels take the same paths. */
export interface ModelSizes {
  /** Side and channels of the first level: 64 and 320. */
  readonly side: number;
  readonly width: number;
  readonly heads: number;
  readonly groups: number;
  readonly contextWidth: number;
  readonly tokens: number;
}

export function modelSizes(scale: number): ModelSizes {
  return {
    side: 64 * scale,
    width: 320 * scale,
    heads: 8 * scale,
    groups: 32 * scale,
    contextWidth: 768 * scale,
    tokens: 77,
  };
}

/** Makes the tensors of a case and remembers them. */
export class Inputs {
  private readonly tensors: Tensor[] = [];
  private seed = 1;

  /** float32 values, much like random ones, in [-scale, scale). */
  float(shape: readonly number[], scale = 1): Tensor {
    return this.tensor(this.noise(shape, scale), shape);
  }

  tensor(values: Float32Array, shape: readonly number[]): Tensor {
    return this.own(tensor(values, shape));
  }

  /** The same weights for both sides: f16 pairs for ours, float32 of the same values, by `arrange`, for tfjs. */
  weights(
    shape: readonly number[],
    arrange: (values: Float32Array<ArrayBuffer>) => {
      readonly values: Float32Array;
      readonly shape: readonly number[];
    } = (values) => ({ values, shape }),
    pack: (bits: Uint16Array<ArrayBuffer>) => Uint16Array<ArrayBuffer> = (bits) => bits,
  ): { readonly packed: Tensor; readonly float: Tensor } {
    const inputs = shape.slice(1).reduce((a, b) => a * b, 1);
    const bits = float32ToFloat16(this.noise(shape, 1 / Math.sqrt(inputs)));
    const arranged = arrange(float16ToFloat32(bits));
    return { packed: this.own(frozenTensor(pack(bits))), float: this.tensor(arranged.values, arranged.shape) };
  }

  dispose(): void {
    for (const t of this.tensors) t.dispose();
  }

  own(t: Tensor): Tensor {
    uploadTensor(t);
    this.tensors.push(t);
    return t;
  }

  noise(shape: readonly number[], scale: number): Float32Array<ArrayBuffer> {
    const values = new Float32Array(shape.reduce((a, b) => a * b, 1));
    let state = Math.imul(this.seed++, 0x9e3779b1);
    for (let i = 0; i < values.length; i++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      values[i] = (((state ^ (state >>> 15)) >>> 0) / 2 ** 31 - 1) * scale;
    }
    return values;
  }
}

/**
 * The backward pass of one of our ops alone: runs `forward` once under the tape, then its gradient at every call. Gives the
 * gradients of `names`, or of all inputs of the op, in order.
 */
export function backwardOf(
  forward: () => Tensor,
  dy: Tensor,
  names?: readonly string[],
): { run(): Tensor[]; dispose(): void } {
  const { outputs, nodes } = recordTape(() => [forward()]);
  const node = defined(
    nodes.find((candidate) => candidate.outputs[0]?.id === outputs[0]!.id),
    'the op on the tape',
  );
  return {
    run: () => {
      const thunks = node.gradient([dy]);
      return (names ?? Object.keys(node.inputs)).map((name) => defined(thunks[name], `gradient of ${name}`)());
    },
    dispose: () => {
      for (const t of [...outputs, ...node.saved]) t.dispose();
    },
  };
}

/** A matrix [rows, columns] as [columns, rows]. */
export function transposed(
  values: Float32Array,
  rows: number,
  columns: number,
): { readonly values: Float32Array; readonly shape: readonly number[] } {
  const out = new Float32Array(values.length);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) out[j * rows + i] = values[i * columns + j]!;
  return { values: out, shape: [columns, rows] };
}

/** Runs an op of `x` under the tape and back, with ones as the gradient of its output. Gives the output and the gradient. */
export function forwardAndBackward(f: () => Tensor, x: Tensor): Tensor[] {
  const tape = vjp(() => [f()], [x]);
  const [y] = tape.outputs as [Tensor];
  const dy = onesLike(y);
  const [dx] = tape.backward([dy]);
  dy.dispose();
  return [y, defined(dx ?? undefined, 'gradient')];
}
