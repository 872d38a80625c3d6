// Plan: what saves the most arithmetic for a byte is kept first; what does not fit is passed over for what does; nothing without memory;
// everything with enough of it.
import { expect, test } from 'vitest';
import { planKept, type SegmentCost } from './segmentPlan.ts';

const costs = new Map<string, SegmentCost>([
  ['wide', { bytes: 100, flop: 100 }],
  ['deep', { bytes: 50, flop: 500 }],
  ['huge', { bytes: 1000, flop: 5000 }],
  ['free', { bytes: 0, flop: 1 }],
]);

test.each([
  [0, ['free']],
  [50, ['deep', 'free']],
  [160, ['deep', 'free', 'wide']],
  [1049, ['deep', 'free', 'wide']],
  [1150, ['deep', 'free', 'huge', 'wide']],
])('%i bytes', (bytes, names) => {
  expect([...planKept(costs, bytes)].sort()).toEqual(names);
});
