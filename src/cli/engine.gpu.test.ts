// Plan: the whole engine on the tiny model. A short training lowers nothing by accident: same seed, same bytes; every buffer
// is back afterwards; what is exported, loaded back, changes the UNet exactly as the trainer's own adapter did; weight 0 is the
// base to the bit; stopping and pausing keep what was learnt; sizes that the model cannot take are refused by name.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RgbImage } from '../core/image.ts';
import { adapterFile, readAdapterFile } from '../export/runFile.ts';
import { trainingFactsOf } from '../export/trainingFacts.ts';
import { tensorCount, trimMemory } from '../gpu/ops.ts';
import { runtime, stopRuntime } from '../gpu/runtime.ts';
import { openDevice } from '../gpu/device.ts';
import { startRuntime } from '../gpu/runtime.ts';
import { openDiffusionModel, type DiffusionModel } from '../models/repository.ts';
import { TrainControl } from '../session/control.ts';
import { ImageGenerator } from '../session/generation.ts';
import type { GenerationRequest } from '../session/generationRequest.ts';
import {
  adaptableModules,
  EmptyDatasetError,
  trainLora,
  TrainOptionError,
  type TrainingEvents,
  type TrainingResult,
} from '../session/training.ts';
import { defaultTrainOptions, type TrainOptions } from '../core/trainOptions.ts';
import type { StripEntry } from '../worker/protocol.ts';
import { folderTree } from './nodeFiles.ts';

let model: DiffusionModel;

beforeAll(async () => {
  await startRuntime(await openDevice(navigator.gpu));
  model = await openDiffusionModel(await folderTree('fixtures/sd15-tiny/model'));
});

afterAll(() => {
  stopRuntime();
});

const options: TrainOptions = {
  ...defaultTrainOptions,
  resolution: 64,
  rank: 2,
  alpha: 2,
  learningRate: 1e-3,
  maxTrainSteps: 3,
  trainBatchSize: 2,
  seed: 42,
  flipProbability: 0.5,
  sampleEvery: 0,
  samplePrompts: [],
  sampleInferenceSteps: 2,
  sampleGuidanceScale: 2,
};

/** A picture with a gradient and a disc, different for each index. */
function picture(index: number): RgbImage {
  const [width, height] = [80, 64];
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const inside = (x - 20 - 10 * index) ** 2 + (y - 32) ** 2 < 200;
      data.set(inside ? [250, 40 * index, 20] : [x * 2, y * 3, 60 * index], (y * width + x) * 3);
    }
  }
  return { width, height, data };
}

const images = [0, 1, 2].map((index) => ({
  id: `image-${index}`,
  caption: `a disc number ${index}`,
  pixels: async () => picture(index),
}));

function train(
  changes: Partial<TrainOptions> = {},
  events: TrainingEvents = {},
  control = new TrainControl(),
): Promise<TrainingResult> {
  return trainLora({ model, images, triggerWord: 'sks', options: { ...options, ...changes } }, control, events);
}

const request: GenerationRequest = {
  prompt: 'sks, a disc',
  negativePrompt: '',
  seed: 7,
  numInferenceSteps: 2,
  guidanceScale: 3,
  width: 64,
  height: 64,
  scheduler: 'ddim',
  loras: [],
};

const facts = {
  name: 'test',
  modelName: 'tiny',
  triggerWord: 'sks',
  captions: ['a disc'],
  startedAt: 0,
  finishedAt: 1000,
  globalStep: 3,
  ...trainingFactsOf(options),
};

describe('training', () => {
  test('same seed, same bytes; the loss is that of noise prediction; nothing leaks', async () => {
    await train();
    trimMemory();
    const tensors = tensorCount();
    const { liveBytes } = runtime().counters;
    const losses: number[][] = [[], []];
    const results = [];
    for (const run of [0, 1]) results.push(await train({}, { onStep: ({ loss }) => void losses[run]!.push(loss) }));
    expect(losses[0]).toHaveLength(3);
    expect(losses[0]).toEqual(losses[1]);
    expect(losses[0]!.every((loss) => loss > 0.1 && loss < 10)).toBe(true);
    expect(results[0]!.modules).toEqual(results[1]!.modules);
    expect(results[0]!.modules.some((module) => module.up.some((value) => value !== 0))).toBe(true);
    trimMemory();
    expect(tensorCount()).toBe(tensors);
    expect(runtime().counters.liveBytes - liveBytes).toBeLessThan(4096);
  });

  test('ten steps and a sample leave no tensor and no byte behind', async () => {
    // SwiftShader, some ten times slower, does five: counts are exact, so a leak of one tensor a step would show there too.
    const maxTrainSteps = runtime().shaderF16 ? 10 : 5;
    const sampled = { sampleEvery: maxTrainSteps, samplePrompts: [{ prompt: 'sks, a disc', seed: 1 }] };
    await train({ maxTrainSteps: 1, ...sampled, sampleEvery: 1 });
    trimMemory();
    const tensors = tensorCount();
    const { liveBytes, liveBuffers } = runtime().counters;
    const bytesBySteps: number[] = [];
    await train({ maxTrainSteps, ...sampled }, { onStep: ({ gpuBytes }) => void bytesBySteps.push(gpuBytes) });
    // A step's results are read while the next one is in progress, into a few buffers of 2 kB: how many there are at a time depends on the clock.
    expect(bytesBySteps.at(-1)! - bytesBySteps[2]!).toBeLessThan(12_000);
    trimMemory();
    expect(tensorCount()).toBe(tensors);
    // New contents of uniform blocks stay for ever, a few bytes each; nothing else may.
    expect(runtime().counters.liveBytes - liveBytes).toBeLessThan(2048);
    expect(runtime().counters.liveBuffers - liveBuffers).toBeLessThan(32);
  });

  test('another seed learns something else', async () => {
    const [a, b] = [await train({ maxTrainSteps: 1 }), await train({ maxTrainSteps: 1, seed: 43 })];
    expect(a.modules[0]!.down).not.toEqual(b.modules[0]!.down);
  });

  test('the strip shows the pictures of the batch at the right step, and samples come when asked for', async () => {
    const strips: StripEntry[][] = [];
    const samples: number[] = [];
    const sizes = new Set<string>();
    await train(
      { maxTrainSteps: 2, sampleEvery: 2, samplePrompts: [{ prompt: 'sks, a disc', seed: 1 }] },
      {
        onStep: async ({ strip }) => void strips.push(await strip()),
        onSample: ({ globalStep, images: drawn }) => {
          samples.push(globalStep);
          for (const { image } of drawn) sizes.add(`${image.width}x${image.height}`);
        },
      },
    );
    expect(samples).toEqual([0, 2]);
    expect([...sizes]).toEqual(['64x64']);
    expect(strips[0]).toHaveLength(2);
    for (const { imageId, timestep, clean, noisy, predicted } of strips[0]!) {
      expect(images.map((image) => image.id)).toContain(imageId);
      expect(timestep).toBeGreaterThanOrEqual(0);
      // Decoded, not painted by the affine preview: this VAE is small.
      for (const painted of [clean, noisy, predicted]) expect(painted.data.length).toBe(64 * 64 * 3);
      expect(noisy.data).not.toEqual(clean.data);
      expect(predicted.data).not.toEqual(clean.data);
    }
  });

  test('stopping keeps what was learnt; pausing waits; each after the step that is with the GPU already', async () => {
    const control = new TrainControl();
    const phases: string[] = [];
    const checkpoints: number[] = [];
    const result = await train(
      { maxTrainSteps: 50 },
      {
        onStatus: (phase) => {
          phases.push(phase);
          if (phase === 'paused') setTimeout(() => control.resume(), 5);
        },
        onStep: ({ globalStep }) => {
          if (globalStep === 1) control.pause();
          if (globalStep === 3) control.requestStop();
        },
        onCheckpoint: async ({ checkpoint }) => void checkpoints.push(checkpoint.position.globalStep),
      },
      control,
    );
    expect(result).toMatchObject({ globalStep: 4, stopped: true });
    expect(phases).toContain('paused');
    expect(checkpoints).toEqual([0, 2, 4]);
  });

  test('what cannot be trained is refused before anything is loaded', async () => {
    await expect(train({ resolution: 100 })).rejects.toThrow(TrainOptionError);
    await expect(train({ resolution: 100 })).rejects.toThrow(
      'Resolution is 100, but this model needs a multiple of 8.',
    );
    await expect(train({ rank: 0 })).rejects.toThrow('Rank is 0, but it must be a whole number from 1 to 320.');
    await expect(trainLora({ model, images: [], triggerWord: '', options }, new TrainControl(), {})).rejects.toThrow(
      EmptyDatasetError,
    );
  });
});

describe('generating', () => {
  test('weight 0 is the base to the bit; the exported file draws what the trained adapter drew; weights change the picture', async () => {
    const { modules } = await train();
    const bytes = adapterFile(modules, facts);
    const { adapter: loaded, unmatched } = await readAdapterFile('test', bytes, adaptableModules(model));
    expect(unmatched).toEqual([]);
    const direct = { name: 'direct', modules: new Map(modules.map((module) => [module.module, module])) };
    const generator = new ImageGenerator(model);
    const base = await generator.generate(request);
    const draw = (adapter: typeof loaded, weight: number): Promise<RgbImage> =>
      generator.generate({ ...request, loras: [{ adapter, weight }] });
    expect((await draw(loaded, 0)).data).toEqual(base.data);
    const one = await draw(loaded, 1);
    expect(one.data).not.toEqual(base.data);
    expect((await draw(direct, 1)).data).toEqual(one.data);
    expect((await draw(loaded, 2)).data).not.toEqual(one.data);
    expect((await generator.generate(request)).data).toEqual(base.data);
    generator.dispose();
  });

  test('nothing leaks, and sliding loads nothing', async () => {
    const { modules } = await train({ maxTrainSteps: 1 });
    const adapter = { name: 'a', modules: new Map(modules.map((module) => [module.module, module])) };
    trimMemory();
    const tensors = tensorCount();
    const generator = new ImageGenerator(model);
    await generator.generate({ ...request, loras: [{ adapter, weight: 1 }] });
    const loaded = tensorCount();
    for (const weight of [0.5, 1.5]) await generator.generate({ ...request, loras: [{ adapter, weight }] });
    expect(tensorCount()).toBe(loaded);
    generator.dispose();
    expect(tensorCount()).toBe(tensors);
  });

  test('a size that the model cannot take', async () => {
    await expect(new ImageGenerator(model).generate({ ...request, width: 100 })).rejects.toThrow(
      'width is 100, but this model needs a multiple of 8 from 8 to 2048.',
    );
  });

  test('sides that do not halve evenly all the way down', async () => {
    const generator = new ImageGenerator(model);
    const image = await generator.generate({ ...request, width: 104, height: 72, numInferenceSteps: 1 });
    expect([image.width, image.height]).toEqual([104, 72]);
    generator.dispose();
  });

  test('cancelling stops between steps', async () => {
    const abort = new AbortController();
    const generator = new ImageGenerator(model);
    const drawing = generator.generate(
      { ...request, numInferenceSteps: 50 },
      { signal: abort.signal, onStep: () => abort.abort() },
    );
    await expect(drawing).rejects.toMatchObject({ name: 'AbortError' });
    generator.dispose();
  });
});
