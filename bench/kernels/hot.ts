/** Every shape of SD1.5's UNet at which a kernel takes time in a training step of batch 1, forward and towards the input. */
import type { KernelCase } from '../compare.ts';
import { adamwCases } from './adamw.ts';
import { cross, self } from './attention.ts';
import { forward, towardsInput as convTowardsInput } from './conv2d.ts';
import type { ModelSizes } from './inputs.ts';
import { plain, towardsInput, withLora } from './linear.ts';
import { groupNormCase, layerNormCase } from './norms.ts';
import { gegluCase } from './pointwise.ts';

/** Channels that resnets take in, in units of the first level's, at each level: down, then up with what was skipped. */
const resnetInputs = [
  [1, 2, 3],
  [1, 2, 3, 4, 6],
  [2, 4, 6, 8],
  [4, 8],
] as const;
const factors = [1, 2, 4, 4] as const;

export function hotCases(sizes: ModelSizes): (() => KernelCase)[] {
  const { side, width, heads, groups, contextWidth, tokens } = sizes;
  const cases: (() => KernelCase)[] = [];
  factors.forEach((factor, level) => {
    const c = width * factor;
    const at = side / 2 ** level;
    const rows = at ** 2;
    for (const units of resnetInputs[level]!) {
      cases.push(
        () => forward(at, width * units, c, 1),
        () => convTowardsInput(at, width * units, c),
      );
    }
    if (level < 3) cases.push(() => forward(at, c, c, 2));
    cases.push(
      () => groupNormCase(at, c, groups, false),
      () => groupNormCase(at, c, groups, true),
    );
    // The middle has attention at the lowest level too.
    cases.push(
      () => withLora(rows, c, 3),
      () => withLora(rows, c, 1),
      () => plain(rows, c, c),
      () => plain(rows, c, c * 8),
      () => plain(rows, c * 4, c),
      () => plain(tokens, contextWidth, c * 2),
      () => towardsInput(rows, c, c),
      () => towardsInput(rows, c, c * 8),
      () => towardsInput(rows, c * 4, c),
      () => layerNormCase(rows, c, false),
      () => layerNormCase(rows, c, true),
      () => gegluCase(rows, c, false),
      () => gegluCase(rows, c, true),
    );
    cases.push(
      () => self(rows, c, heads, false),
      () => self(rows, c, heads, true),
      () => cross(rows, tokens, c, heads, false),
      () => cross(rows, tokens, c, heads, true),
    );
  });
  return [...cases, ...adamwCases(sizes)];
}
