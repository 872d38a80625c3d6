/** Where each trained parameter lies in the pages that optimizers work on: at a multiple of a block, a page no larger than is bound at once. */
import { pageBlock, type PageMatrix } from '../gpu/ops.ts';

/** A page of the largest state (4 floats a value) stays within 64 MiB, which every device can bind. */
const pageSize = 2 ** 22;

/** A parameter as far as its place matters. */
export interface ParameterShape {
  readonly shape: readonly number[];
  /** What the learning rate is multiplied by. */
  readonly factor: number;
  /** Matrices that lie one below the other in it, each of which is to lie by itself. */
  readonly parts: number;
}

/** A parameter, or one of its parts, in a page. */
export interface Slot {
  readonly parameter: number;
  /** The first of its values in the parameter, and how many they are. */
  readonly from: number;
  readonly count: number;
  readonly page: number;
  readonly offset: number;
}

export interface PageLayout {
  readonly slots: readonly Slot[];
  readonly pages: readonly {
    /** Values, a multiple of the block. */
    readonly size: number;
    /** Of the learning rate, one a block. */
    readonly factors: readonly number[];
    /** What lies in it, as matrices. Vectors have one column. */
    readonly matrices: readonly PageMatrix[];
  }[];
}

/** Lays parameters end to end. At least one page, be it empty. */
export function layOutPages(parameters: readonly ParameterShape[]): PageLayout {
  const pages: { size: number; factors: number[]; matrices: PageMatrix[] }[] = [{ size: 0, factors: [], matrices: [] }];
  const slots: Slot[] = [];
  for (const [parameter, { shape, factor, parts }] of parameters.entries()) {
    const columns = shape.length > 1 ? shape.at(-1)! : 1;
    const count = shape.reduce((product, side) => product * side, 1) / parts;
    const blocks = Math.ceil(count / pageBlock);
    for (let part = 0; part < parts; part++) {
      let page = pages.at(-1)!;
      if (page.size > 0 && page.size + blocks * pageBlock > pageSize) {
        page = { size: 0, factors: [], matrices: [] };
        pages.push(page);
      }
      slots.push({ parameter, from: part * count, count, page: pages.length - 1, offset: page.size });
      page.matrices.push({ offset: page.size, rows: count / columns, columns, factor });
      for (let block = 0; block < blocks; block++) page.factors.push(factor);
      page.size += blocks * pageBlock;
    }
  }
  return { slots, pages };
}
