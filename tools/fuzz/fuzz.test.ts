// Plan: 2,000 mutated files of each run's seeds (100,000 nightly: `npm run fuzz`); the unharmed seeds are read, so that the mutants are refused for
// what was done to them; many are refused and some still read, or the mutations would test nothing.
import { expect, test } from 'vitest';
import { fuzz } from './fuzz.ts';
import { fuzzTargets } from './seeds.ts';

test.each(fuzzTargets.map((target) => [target.name, target] as const))(
  '%s: the seeds are read',
  async (_name, target) => {
    for (const seed of target.seeds) await expect(target.read(new Uint8Array(seed))).resolves.toBeUndefined();
  },
);

test('2,000 mutated files are read or refused', { timeout: 120_000 }, async () => {
  const { failures, read, refused } = await fuzz(2000);
  expect(failures).toEqual([]);
  expect(read).toBeGreaterThan(50);
  expect(refused).toBeGreaterThan(1000);
});
