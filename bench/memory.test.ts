/**
 * The plan: full-size SD1.5 at 512 px stays within the memory and the number of dispatches that we promise, with each option. Bytes and
 * counts are the same on every machine; times are not looked at.
 */
import { afterAll, expect, test } from 'vitest';
import { defined } from '../src/core/invariant.ts';
import { stopRuntime } from '../src/gpu/runtime.ts';
import { SHALLOW_SHARES } from '../src/core/shortcuts.ts';
import { defaultTrainOptions } from '../src/core/trainOptions.ts';
import { parseClipTextConfig } from '../src/models/clip.ts';
import { ConfigReader } from '../src/models/config.ts';
import { leastNeed } from '../src/session/leastNeed.ts';
import { sd15Configs } from '../tools/fullsize/configs.ts';
import { benchMemory, memoryRows } from './memory.ts';
import { sd15Config, sd15VaeConfig } from './sd15.ts';

const textConfig = parseClipTextConfig(new ConfigReader('SD1.5', sd15Configs['text_encoder/config.json']));

afterAll(() => {
  stopRuntime();
});

test('SD1.5 at 512 px within its bytes and dispatches', { timeout: 600_000 }, async () => {
  const report = await benchMemory();
  const rows = memoryRows(report);
  expect(rows).toHaveLength(13);
  const over = rows.filter(
    ({ pass, mostBytes, mostDispatches }) =>
      pass.peakBytes > mostBytes || pass.dispatches > (mostDispatches ?? Infinity),
  );
  expect(over).toEqual([]);
  const { weightBytes, forward, step } = defined(report.training[0]).report;
  // 859.5 million weights, nearly all as f16.
  expect(weightBytes).toBeGreaterThan(1.71e9);
  expect(weightBytes).toBeLessThan(1.73e9);
  expect(step.submits).toBeLessThanOrEqual(step.dispatches / 40);
  // Nothing is left behind by a step but the weights, the adapter and its moments.
  expect(step.liveBytes - weightBytes).toBeLessThan(20e6);
  // What is refused by size alone could not have been trained: see session/leastNeed.ts.
  for (const { weights, activationMemory, report: measured } of report.training) {
    if (activationMemory > 0) continue;
    const options = { ...defaultTrainOptions, weightsPrecision: weights, trainBatchSize: measured.batchSize, rank: 4 };
    const least = leastNeed({ unetConfig: sd15Config, vaeConfig: sd15VaeConfig, textConfig }, options);
    expect(least.bytes).toBeLessThan(measured.step.peakLiveBytes);
    expect(least.bytes).toBeGreaterThan(0.8 * measured.step.peakLiveBytes);
  }

  // All is run twice; with a gigabyte to keep activations, little. A forward pass takes 0.80.
  const keeping = (megabytes: number) =>
    defined(report.training.find(({ activationMemory }) => activationMemory === megabytes)).report.step;
  expect(forward.flop / 1e12).toBeCloseTo(0.8, 2);
  expect(step.flop / 1e12).toBeCloseTo(2.7, 1);
  expect(keeping(1000).flop).toBeLessThanOrEqual(2e12);
  const kept = defaultTrainOptions.activationMemory;
  expect(keeping(kept).flop).toBeLessThan(2.4e12);
  expect(keeping(kept).peakBytes - step.peakBytes).toBeLessThanOrEqual(1e6 * kept);

  // A call that reuses the depth runs conv_in, the last layer up and conv_out; keeping it costs no work.
  const { keeping: whole, shallow } = report.reuse;
  expect(whole.flop / 1e12).toBeCloseTo(1.6, 2);
  expect(shallow.flop / whole.flop).toBeCloseTo(SHALLOW_SHARES.sd15, 3);
  expect(shallow.dispatches).toBeLessThanOrEqual(33);
  expect(report.demoReuse.shallow.flop / report.demoReuse.keeping.flop).toBeCloseTo(SHALLOW_SHARES.demo, 3);

  // 8.5 bits a weight.
  const int8 = defined(report.training.find(({ weights }) => weights === 'int8')).report;
  expect(int8.weightBytes).toBeLessThan(0.55 * weightBytes);
});
