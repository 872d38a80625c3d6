/**
 * The values between segments that a training step keeps for its backward pass: as they are, or as halves in half the memory. As
 * halves, every reader sees the same rounded values, so that the gradients are exactly those of the network that was run.
 */
import { defined } from '../core/invariant.ts';
import { fromHalves, toHalves, type Tensor } from '../gpu/ops.ts';

export type ActivationFormat = 'f32' | 'f16';

export class Checkpoints {
  private readonly values = new Map<string, { readonly kept: Tensor; readonly shape: readonly number[] }>();

  constructor(private readonly format: ActivationFormat) {}

  has(name: string): boolean {
    return this.values.has(name);
  }

  /** Keeps x, which is taken over. */
  put(name: string, x: Tensor): void {
    if (this.format === 'f32' || x.size % 4 !== 0) {
      this.values.set(name, { kept: x, shape: x.shape });
      return;
    }
    this.values.set(name, { kept: toHalves(x), shape: x.shape });
    x.dispose();
  }

  /** The value as float32, to be given back with {@link release}. */
  read(name: string): Tensor {
    const { kept, shape } = defined(this.values.get(name), `value ${name}`);
    return kept.dtype === 'int32' ? fromHalves(kept, shape) : kept;
  }

  /** Ends the use of what {@link read} gave. */
  release(name: string, x: Tensor): void {
    if (this.values.get(name)?.kept !== x) x.dispose();
  }

  drop(name: string): void {
    this.values.get(name)?.kept.dispose();
    this.values.delete(name);
  }

  dispose(): void {
    for (const { kept } of this.values.values()) kept.dispose();
    this.values.clear();
  }
}
