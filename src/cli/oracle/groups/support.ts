/** Conversions that several groups need. */
import type { RgbImage } from '../../../core/image.ts';
import { invariant } from '../../../core/invariant.ts';
import { readTensor, type Tensor } from '../../../gpu/ops.ts';
import type { DrawNoise } from '../../../schedulers/types.ts';
import { toNchw } from '../check.ts';
import type { GoldenTensor } from '../pack.ts';

export function rgb({ shape, values }: GoldenTensor): RgbImage {
  const [height = 0, width = 0] = shape;
  return { width, height, data: Uint8Array.from(values) };
}

/** Token ids [n, length] as a list for each prompt. */
export function rowsOf({ shape, values }: GoldenTensor): Int32Array[] {
  const length = shape.at(-1) ?? 0;
  return Array.from({ length: values.length / length }, (_, i) =>
    Int32Array.from(values.subarray(i * length, (i + 1) * length)),
  );
}

export function nhwcShape([, c = 0, h = 0, w = 0]: readonly number[]): [number, number, number] {
  return [h, w, c];
}

export function perSample(values: ArrayLike<number>, n: number): number[] {
  return Array.from({ length: n }, (_, i) => values[Math.min(i, values.length - 1)]!);
}

/** A tensor's values as the oracle records them: images NCHW, tokens and vectors as they are. */
export async function channelsFirst(value: Tensor): Promise<Float32Array> {
  const values = await readTensor(value);
  return value.shape.length === 4 ? toNchw(values, value.shape) : values;
}

/** Recorded draws [n, ...], handed out one after another; `arrange` brings each to the layout that is wanted. */
export function drawsOf(
  { shape: [count = 1, ...shape], values }: GoldenTensor,
  arrange: (draw: GoldenTensor) => Float32Array = (draw) => Float32Array.from(draw.values),
): DrawNoise {
  const size = values.length / count;
  let drawn = 0;
  return () => {
    invariant(drawn < count, 'The case records no more noise', { count });
    const draw = Float32Array.from(values.subarray(drawn * size, ++drawn * size));
    return arrange({ shape, values: draw });
  };
}

/** Where a case records no noise, none may be drawn. */
export const undrawn: DrawNoise = () => {
  invariant(false, 'The case records no noise');
};
