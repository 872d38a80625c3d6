/** The kernels part: each hot kernel of ours against tfjs' own op, or the composition of ops that it replaces. */
import { invariant } from '../src/core/invariant.ts';
import { tensorCount, trimMemory, type Tensor } from '../src/gpu/ops.ts';
import { withPrecision, type Precision } from '../src/gpu/precision.ts';
import { compare, type Comparison, type KernelCase } from './compare.ts';
import { tuneCase } from './gpu.ts';
import { adamwCases } from './kernels/adamw.ts';
import { attentionCases } from './kernels/attention.ts';
import { conv2dCases } from './kernels/conv2d.ts';
import { modelSizes } from './kernels/inputs.ts';
import { linearCases } from './kernels/linear.ts';
import { normCases } from './kernels/norms.ts';
import { pointwiseCases } from './kernels/pointwise.ts';
import { formatTable } from './table.ts';

export interface KernelOptions {
  /** 1 is SD1.5 at 512 px; sides and channels are multiplied by it. */
  readonly scale: number;
  /** Only cases whose name contains this. */
  readonly only?: string;
  /** Of our products; f32, if not given. */
  readonly precision?: Precision;
  readonly onCase?: (name: string) => void;
}

/** Times all cases; a few seconds each on a software GPU. */
export async function benchKernels({
  scale,
  only = '',
  precision = 'f32',
  onCase,
}: KernelOptions): Promise<Comparison[]> {
  const sizes = modelSizes(scale);
  const cases: (() => KernelCase)[] = [
    linearCases,
    conv2dCases,
    attentionCases,
    normCases,
    pointwiseCases,
    adamwCases,
  ].flatMap((make) => make(sizes));
  const results: Comparison[] = [];
  for (const make of cases) {
    const before = tensorCount();
    const test = withPrecision(precision, make);
    try {
      if (!test.name.toLowerCase().includes(only.toLowerCase())) continue;
      onCase?.(`${test.name} ${test.shape}`);
      const ours = (): Tensor[] => withPrecision(precision, () => test.ours());
      await tuneCase(ours);
      results.push(await compare({ ...test, ours }));
    } finally {
      test.dispose();
      trimMemory();
    }
    invariant(tensorCount() === before, `${test.name}: the case leaks tensors`);
  }
  return results;
}

export function kernelTable(results: readonly Comparison[]): string {
  return formatTable(
    ['kernel', 'shape', 'ours ms', 'tfjs ms', 'tfjs / ours', 'ours GFLOP/s', 'difference'],
    results.map(({ name, shape, oursMs, tfjsMs, ratio, gflops, difference }) => [
      name,
      shape,
      oursMs.toFixed(2),
      tfjsMs.toFixed(2),
      ratio.toFixed(2),
      gflops?.toFixed(1) ?? '',
      difference.toExponential(0),
    ]),
  );
}
