/**
 * Plan: Random123's known answers for Philox4x32-10; the first normals of seed 0 on a CUDA device, which torch's users know; that draws
 * follow each other, and that a longer draw begins as a shorter one.
 */
import { describe, expect, it } from 'vitest';
import { expectClose } from '../../tools/testing.ts';
import { InvariantError } from './errors.ts';
import { philox4x32, PhiloxGenerator } from './rngPhilox.ts';

describe('philox4x32', () => {
  it.each([
    { counter: [0, 0, 0, 0], key: [0, 0], answer: [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8] },
    {
      counter: [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
      key: [0xffffffff, 0xffffffff],
      answer: [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
    },
    {
      counter: [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      key: [0xa4093822, 0x299f31d0],
      answer: [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    },
  ] as const)('gives the known answer for counter $counter', ({ counter, key, answer }) => {
    expect(philox4x32(counter, key)).toEqual(answer);
  });
});

describe('PhiloxGenerator', () => {
  it('draws what torch draws on a CUDA device', () => {
    const known = [-0.9247, -0.4253, -2.6438, 0.1452, -0.1209, -0.5797, -0.6229, -0.3284, -1.0745, -0.3631, -1.6711];
    expectClose(new PhiloxGenerator(0).randn([11]), known, 5.1e-5);
  });

  it('goes on with the next draw, each independent of its length', () => {
    const [generator, longer] = [new PhiloxGenerator(2 ** 33 + 5), new PhiloxGenerator(2 ** 33 + 5)];
    const [first, second] = [generator.randn([2, 4]), generator.randn([2, 4])];
    expect(longer.randn([100]).slice(0, 8)).toEqual(first);
    expect(longer.randn([8])).toEqual(second);
    expect(second).not.toEqual(first);
    expect(new PhiloxGenerator(5).randn([8])).not.toEqual(first);
  });

  it('spreads as normals do', () => {
    const values = new PhiloxGenerator(7).randn([100, 100]);
    const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
    const variance = values.reduce((sum, x) => sum + x * x, 0) / values.length;
    // Five standard errors of 10,000 normals.
    expect(Math.abs(mean)).toBeLessThan(0.05);
    expect(Math.abs(variance - 1)).toBeLessThan(0.071);
  });

  it('refuses a seed that is no integer', () => {
    expect(() => new PhiloxGenerator(0.5)).toThrow(InvariantError);
  });
});
