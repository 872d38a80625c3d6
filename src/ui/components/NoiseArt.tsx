import { useMemo } from 'react';
import type { RgbImage } from '../../core/image.ts';
import { RgbCanvas } from './RgbCanvas.tsx';

const size = 72;
const tiles = [1, 0.8, 0.55, 0.28, 0];

type Color = readonly [number, number, number];

const sky: readonly [Color, Color] = [
  [32, 94, 96],
  [247, 214, 176],
];
const sun: Color = [255, 238, 214];
const hills: readonly Color[] = [
  [226, 122, 92],
  [150, 78, 82],
  [36, 74, 76],
  [17, 43, 47],
];

/** A small evening landscape at pixel (x, y), coordinates in 0..1. */
function landscape(x: number, y: number): Color {
  const [top, bottom] = sky;
  const t = Math.min(1, y * 1.7);
  const mix = (a: number, b: number): number => a + (b - a) * t;
  let color: Color = [mix(top[0], bottom[0]), mix(top[1], bottom[1]), mix(top[2], bottom[2])];
  if (Math.hypot(x - 0.64, y - 0.36) < 0.11) color = sun;
  hills.forEach((hill, k) => {
    const ridge = 0.5 + 0.13 * k + 0.07 * Math.sin(5 * x + 2.1 * k) + 0.035 * Math.sin(11 * x + 4 * k);
    if (y > ridge) color = hill;
  });
  return color;
}

/** The landscape under `amount` (0..1) of noise; the same noise every time. */
function noisyTile(amount: number): RgbImage {
  const data = new Uint8Array(size * size * 3);
  let state = 0x2545f491;
  const signal = Math.sqrt(1 - amount * amount);
  for (let i = 0; i < size * size; i++) {
    const color = landscape((i % size) / size, Math.floor(i / size) / size);
    for (const [c, value] of color.entries()) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      const noise = ((state >>> 0) / 2 ** 32 - 0.5) * 300;
      data[3 * i + c] = Math.max(0, Math.min(255, 128 + signal * (value - 128) + amount * noise));
    }
  }
  return { width: size, height: size, data };
}

/** What training is about, in one glance: a picture comes out of noise. Decoration only. */
export function NoiseArt() {
  const images = useMemo(() => tiles.map(noisyTile), []);
  return (
    <div className="noise-art" aria-hidden="true">
      {images.map((image, index) => (
        <RgbCanvas key={index} image={image} label="" />
      ))}
    </div>
  );
}
