import type { CSSProperties } from 'react';
import { cropFractions, placeImage, type SizeOptions } from '../../../core/buckets.ts';
import type { DatasetImage } from '../../../worker/protocol.ts';

const percent = (fraction: number): string => `${(fraction * 100).toFixed(3)}%`;

/** Where the trained part of an image lies, over the whole of it. */
export function cropStyle(image: DatasetImage, sizes: SizeOptions): CSSProperties {
  const { left, top, width, height } = cropFractions(placeImage(image, sizes, image.crop));
  return { left: percent(left), top: percent(top), width: percent(width), height: percent(height) };
}

/** The size of a picture that fills a square frame without being cut. */
export function fitStyle({ width, height }: DatasetImage): CSSProperties {
  return { width: percent(Math.min(1, width / height)), height: percent(Math.min(1, height / width)) };
}
