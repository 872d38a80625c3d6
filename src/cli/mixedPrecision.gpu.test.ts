// Plan: on the demo model, which is trained, so that its gradients are those of a real one. A training in mixed precision follows the curve
// of float32, its gradients are near, and its optimizer sees them unscaled; restored, it goes on with the same bytes; a picture is the
// same to the eye, not to the bit, and float32's is the same to the bit afterwards.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { layersToTrain, TrainableAdapter } from '../adapter/trainable.ts';
import { defaultTrainOptions, type TrainOptions } from '../core/trainOptions.ts';
import { psnr } from '../evaluation/imageMetrics.ts';
import { openDevice } from '../gpu/device.ts';
import { startRuntime, stopRuntime } from '../gpu/runtime.ts';
import { expectClose, noise } from '../gpu/testing.ts';
import { openDiffusionModel, type DiffusionModel } from '../models/repository.ts';
import type { UNet2DCondition } from '../models/unet.ts';
import { ImageGenerator } from '../session/generation.ts';
import type { GenerationRequest } from '../session/generationRequest.ts';
import { diffusionSettings, noiseBatch, type NoisyBatch } from '../trainer/batch.ts';
import { LoraTrainer, type StepResult } from '../trainer/trainer.ts';
import { folderTree } from './nodeFiles.ts';

let model: DiffusionModel;

beforeAll(async () => {
  await startRuntime(await openDevice(navigator.gpu));
  model = await openDiffusionModel(await folderTree('public/models/demo'));
});
afterAll(stopRuntime);

const halves = process.env['GPU_TEST_SHADER_F16'] === 'true';

describe.runIf(halves)('a training', () => {
  let unet: UNet2DCondition;
  beforeAll(async () => {
    unet = await model.loadUNet();
  });
  afterAll(() => unet.dispose());

  /** Made-up examples. */
  function batchOf(i: number): NoisyBatch {
    const shape = [1, 8, 8, 4] as const;
    const [tokens, width] = [4, unet.config.crossAttentionDim];
    const parts = {
      shape,
      clean: noise(256, 100 + i, 1.5),
      noise: noise(256, 200 + i, 1.7),
      timesteps: [300 + 400 * i],
      context: noise(tokens * width, 300 + i, 1.5),
      contextShape: [1, tokens, width] as const,
    };
    return noiseBatch(parts, diffusionSettings(defaultTrainOptions, model.schedulerConfig));
  }

  function setUp(mixedPrecision: TrainOptions['mixedPrecision']) {
    const options = { ...defaultTrainOptions, mixedPrecision };
    const layers = layersToTrain({ unet: unet.adaptableLayers }, options);
    const adapter = TrainableAdapter.create(layers, { rank: 4, alpha: 4, seed: 1 });
    return { adapter, trainer: new LoraTrainer({ unet }, adapter.parameterGroups(), options) };
  }

  async function learn({ trainer }: ReturnType<typeof setUp>, from: number, to: number): Promise<StepResult[]> {
    const results: StepResult[] = [];
    for (let i = from; i < to; i++) results.push(await trainer.step([batchOf(i % 2)], 1e-3));
    return results;
  }

  const steps = 4;

  test('follows float32’s curve, and restored goes on with the same bytes', async () => {
    const exact = setUp('no');
    const expected = await learn(exact, 0, steps);
    exact.trainer.dispose();
    exact.adapter.dispose();

    const half = setUp('fp16');
    const results = await learn(half, 0, steps - 1);
    const state = structuredClone(await half.trainer.readState());
    results.push(...(await learn(half, steps - 1, steps)));
    const last = await half.trainer.readState();
    half.trainer.restoreState(state);
    await learn(half, steps - 1, steps);
    expect(await half.trainer.readState()).toEqual(last);
    half.trainer.dispose();
    half.adapter.dispose();

    expect(results.map(({ applied }) => applied)).toEqual(expected.map(() => true));
    const [first, start] = [results[0]!, expected[0]!];
    expectClose([first.loss / start.loss, first.gradientNorm / start.gradientNorm], [1, 1], 2e-3, 'the first step');
    for (const [i, { loss }] of results.entries())
      expectClose([loss / expected[i]!.loss], [1], 0.01, `loss of step ${i}`);
    // It learns, and by as much.
    const fallen = (all: readonly StepResult[]): number => all[0]!.loss - all[2]!.loss;
    expect(fallen(expected)).toBeGreaterThan(0.01);
    expectClose([fallen(results) / fallen(expected)], [1], 0.05, 'what the loss fell by');
  });
});

const request: GenerationRequest = {
  prompt: 'a red apple',
  negativePrompt: '',
  seed: 7,
  numInferenceSteps: 2,
  guidanceScale: 3,
  width: 64,
  height: 64,
  scheduler: 'ddim',
  loras: [],
};

test.runIf(halves)('a picture is the same to the eye, and float32’s is the same to the bit afterwards', async () => {
  const generator = new ImageGenerator(model);
  const exact = await generator.generate(request);
  const half = await generator.generate({ ...request, mixedPrecision: 'fp16' });
  const again = await generator.generate(request);
  generator.dispose();
  expect(again.data).toEqual(exact.data);
  expect(half.data).not.toEqual(exact.data);
  expect(psnr(exact, half)).toBeGreaterThan(40);
});
