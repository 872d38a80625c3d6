/** Plan: the layout of a draw, and that draws follow one another in one generator, of either kind; both kinds differ. */
import { describe, expect, it } from 'vitest';
import { TorchGenerator } from '../core/rng.ts';
import { PhiloxGenerator } from '../core/rngPhilox.ts';
import { noiseSource } from './noise.ts';

const SHAPE = [2, 3, 4] as const;

/** Element [y, x, c] of a draw is [c, y, x] of torch's. */
function expectDraw(drawn: Float32Array, torch: Float32Array): void {
  const [h, w, c] = SHAPE;
  for (let k = 0; k < c; k++) {
    for (let p = 0; p < h * w; p++) expect(drawn[p * c + k]).toBe(torch[k * h * w + p]);
  }
}

describe('noiseSource', () => {
  it.each(['cpu', 'gpu'] as const)('draws one after another from a %s generator', (device) => {
    const generator = device === 'cpu' ? new TorchGenerator(42) : new PhiloxGenerator(42);
    const draw = noiseSource(42, SHAPE, device);
    expectDraw(draw(), generator.randn([1, 4, 2, 3]));
    expectDraw(draw(), generator.randn([1, 4, 2, 3]));
  });

  it("draws the CPU's numbers where nothing else is said", () => {
    expect(noiseSource(42, SHAPE)()).toEqual(noiseSource(42, SHAPE, 'cpu')());
    expect(noiseSource(42, SHAPE)()).not.toEqual(noiseSource(42, SHAPE, 'gpu')());
  });
});
