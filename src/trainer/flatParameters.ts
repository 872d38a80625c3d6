/**
 * All trained parameters end to end in pages, each with its gradients and factors: what optimizers work on. The pages hold the
 * truth; the parameters in the model are copies, written after every step. Copies cost no dispatch.
 */
import { defined, invariant } from '../core/invariant.ts';
import { add, clearValues, copyValues, tensor, type PageMatrix, type ParameterPage, type Tensor } from '../gpu/ops.ts';
import { layOutPages, type Slot } from './pageLayout.ts';

export class FlatParameters {
  private readonly mutablePages: readonly { values: Tensor; gradients: Tensor; factors: Tensor }[];
  /** What lies in each page, as matrices: for optimizers that know rows and columns. */
  readonly matrices: readonly (readonly PageMatrix[])[];
  /** Where a batch's gradients lie before they are added; made when they first have to be. */
  private scratch: readonly Tensor[] | null = null;
  private readonly slots: readonly Slot[];

  /**
   * `factors`: of the learning rate, one a parameter; `parts`: matrices to keep apart in each, 1 unless it says otherwise. The
   * parameters stay their owner's.
   */
  constructor(
    private readonly parameters: readonly Tensor[],
    factors: readonly number[],
    parts: readonly number[] = parameters.map(() => 1),
  ) {
    invariant(
      parameters.length === factors.length && parameters.length === parts.length,
      'FlatParameters: one factor a parameter',
    );
    const { slots, pages } = layOutPages(
      parameters.map(({ shape }, i) => ({ shape, factor: factors[i]!, parts: parts[i]! })),
    );
    this.slots = slots;
    this.matrices = pages.map(({ matrices }) => matrices);
    this.mutablePages = pages.map(({ size, factors: ofBlocks }) => ({
      values: tensor(new Float32Array(size), [size]),
      gradients: tensor(new Float32Array(size), [size]),
      factors: tensor(Float32Array.from(ofBlocks), [ofBlocks.length]),
    }));
    this.pull();
  }

  get pages(): readonly ParameterPage[] {
    return this.mutablePages;
  }

  /** Takes over the parameters' values from the model, e.g. after they were restored there. */
  pull(): void {
    for (const { parameter, from, count, page, offset: to } of this.slots) {
      copyValues(defined(this.parameters[parameter]), this.pages[page]!.values, { from, to, count });
    }
  }

  /** Writes values that lie like the pages' into the model. */
  push(values: readonly Tensor[] = this.pages.map((page) => page.values)): void {
    for (const { parameter, from: to, count, page, offset: from } of this.slots) {
      copyValues(defined(values[page]), defined(this.parameters[parameter]), { from, to, count });
    }
  }

  /** The values as they are now, in tensors of their own. */
  copyOfValues(): Tensor[] {
    return this.pages.map(({ values }) => {
      const copy = tensor(new Float32Array(values.size), [values.size]);
      copyValues(values, copy, { count: values.size });
      return copy;
    });
  }

  /** Takes over gradients, in the order of the parameters, or adds them up; they stay the caller's. One that is missing counts as 0. */
  gather(gradients: readonly (Tensor | null)[], accumulate: boolean): void {
    if (accumulate)
      this.scratch ??= this.pages.map(({ values }) => tensor(new Float32Array(values.size), [values.size]));
    const targets = (accumulate ? this.scratch : null) ?? this.pages.map((page) => page.gradients);
    for (const { parameter, from, count, page, offset: to } of this.slots) {
      const gradient = gradients[parameter];
      if (gradient) copyValues(gradient, targets[page]!, { from, to, count });
      else clearValues(targets[page]!, { to, count });
    }
    if (!accumulate) return;
    this.mutablePages.forEach((page, i) => {
      const before = page.gradients;
      page.gradients = add(before, targets[i]!);
      before.dispose();
    });
  }

  dispose(): void {
    for (const { values, gradients, factors } of this.pages) for (const t of [values, gradients, factors]) t.dispose();
    for (const t of this.scratch ?? []) t.dispose();
  }
}
