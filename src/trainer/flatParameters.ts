/**
 * All trained parameters end to end in pages, each with its gradients and factors: what optimizers work on. The pages hold the
 * truth; the parameters in the model are copies, written after every step. Copies cost no dispatch.
 */
import { defined, invariant } from '../core/invariant.ts';
import {
  add,
  clearValues,
  copyValues,
  pageBlock,
  tensor,
  type PageMatrix,
  type ParameterPage,
  type Tensor,
} from '../gpu/ops.ts';

/** A page of the largest state (4 floats a value) stays within 64 MiB, which every device can bind. */
const pageSize = 2 ** 22;

interface Slot {
  readonly parameter: Tensor;
  readonly page: number;
  readonly offset: number;
}

export class FlatParameters {
  private readonly mutablePages: readonly { values: Tensor; gradients: Tensor; factors: Tensor }[];
  /** The parameters as matrices, by page: for optimizers that know rows and columns. Vectors have one column. */
  readonly matrices: readonly (readonly PageMatrix[])[];
  /** Where a batch's gradients lie before they are added; made when they first have to be. */
  private scratch: readonly Tensor[] | null = null;
  private readonly slots: readonly Slot[];

  /** `factors`: of the learning rate, one a parameter. The parameters stay their owner's. */
  constructor(parameters: readonly Tensor[], factors: readonly number[]) {
    invariant(parameters.length === factors.length, 'FlatParameters: one factor a parameter');
    const sizes: number[] = [0];
    const pageFactors: number[][] = [[]];
    const matrices: PageMatrix[][] = [[]];
    this.slots = parameters.map((parameter, i) => {
      const blocks = Math.ceil(parameter.size / pageBlock);
      const factor = factors[i]!;
      if (sizes.at(-1)! > 0 && sizes.at(-1)! + blocks * pageBlock > pageSize) {
        sizes.push(0);
        pageFactors.push([]);
        matrices.push([]);
      }
      const page = sizes.length - 1;
      const offset = sizes[page]!;
      const columns = parameter.rank > 1 ? parameter.shape.at(-1)! : 1;
      matrices[page]!.push({ offset, rows: parameter.size / columns, columns, factor });
      for (let block = 0; block < blocks; block++) pageFactors[page]!.push(factor);
      sizes[page]! += blocks * pageBlock;
      return { parameter, page, offset };
    });
    this.matrices = matrices;
    this.mutablePages = sizes.map((size, page) => ({
      values: tensor(new Float32Array(size), [size]),
      gradients: tensor(new Float32Array(size), [size]),
      factors: tensor(Float32Array.from(pageFactors[page]!), [pageFactors[page]!.length]),
    }));
    this.pull();
  }

  get pages(): readonly ParameterPage[] {
    return this.mutablePages;
  }

  /** Takes over the parameters' values from the model, e.g. after they were restored there. */
  pull(): void {
    for (const { parameter, page, offset } of this.slots) {
      copyValues(parameter, this.pages[page]!.values, { to: offset, count: parameter.size });
    }
  }

  /** Writes values that lie like the pages' into the model. */
  push(values: readonly Tensor[] = this.pages.map((page) => page.values)): void {
    for (const { parameter, page, offset } of this.slots) {
      copyValues(defined(values[page]), parameter, { from: offset, count: parameter.size });
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
    this.slots.forEach(({ parameter: { size: count }, page, offset: to }, i) => {
      const gradient = gradients[i];
      if (gradient) copyValues(gradient, targets[page]!, { to, count });
      else clearValues(targets[page]!, { to, count });
    });
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
