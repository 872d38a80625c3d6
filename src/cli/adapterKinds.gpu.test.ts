// Plan: a training with every target at once, the text encoder, dropout of every kind and blocks of their own rates, as LoRA and as DoRA, on the
// tiny model. Every module learns; what is exported, read back and plugged in gives the UNet and the text encoder the same output as the
// trained adapter itself; the header says how it was trained; the run goes on from a checkpoint in the same bytes, dropout and all; samples
// come from the text encoder as it is then; an adapter that is taken out for a while comes back; nothing leaks.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PluggedAdapters, type Adapter } from '../adapter/lora.ts';
import { isTrained } from '../adapter/targets.ts';
import { layersToTrain, TrainableAdapter } from '../adapter/trainable.ts';
import { bytesSource } from '../core/files.ts';
import type { RgbImage } from '../core/image.ts';
import { defined } from '../core/invariant.ts';
import { defaultTrainOptions, type TrainOptions } from '../core/trainOptions.ts';
import { adapterFile, readAdapterFile } from '../export/runFile.ts';
import { trainingFactsOf } from '../export/trainingFacts.ts';
import { openSafetensors } from '../formats/safetensors.ts';
import type { LoraModule } from '../formats/lora/types.ts';
import { openDevice } from '../gpu/device.ts';
import { readTensor, tensor, tensorCount, trimMemory } from '../gpu/ops.ts';
import { startRuntime, stopRuntime } from '../gpu/runtime.ts';
import { expectClose, noise } from '../gpu/testing.ts';
import type { ClipTextEncoder } from '../models/clip.ts';
import { openDiffusionModel, type DiffusionModel } from '../models/repository.ts';
import type { UNet2DCondition } from '../models/unet.ts';
import { TrainControl } from '../session/control.ts';
import { adaptableModules, trainLora, type TrainingEvents, type TrainingResult } from '../session/training.ts';
import type { Checkpoint } from '../trainer/checkpoint.ts';
import { folderTree } from './nodeFiles.ts';

let model: DiffusionModel;

beforeAll(async () => {
  await startRuntime(await openDevice(navigator.gpu));
  model = await openDiffusionModel(await folderTree('fixtures/sd15-tiny/model'));
});

afterAll(() => stopRuntime());

const options: TrainOptions = {
  ...defaultTrainOptions,
  // Small: SwiftShader takes ten times as long.
  resolution: 32,
  rank: 4,
  alpha: 2,
  convRank: 3,
  convAlpha: 1,
  targets: { attention: true, feedForward: true, projections: true, convolutions: true },
  textEncoder: { train: true, learningRate: 5e-4 },
  blockLearningRates: { 'up_blocks.1': 0.5, mid_block: 0 },
  dropout: { network: 0.1, rank: 0.1, module: 0.1 },
  learningRate: 2e-3,
  trainBatchSize: 2,
  maxTrainSteps: 3,
  seed: 5,
  sampleInferenceSteps: 1,
};

function picture(index: number): RgbImage {
  return { width: 32, height: 32, data: new Uint8Array(32 * 32 * 3).map((_, i) => (i * (index + 3)) % 251) };
}

const images = [0, 1].map((i) => ({ id: `image-${i}`, caption: `number ${i}`, pixels: async () => picture(i) }));

function train(
  changes: Partial<TrainOptions>,
  events: TrainingEvents = {},
  resumeFrom?: Checkpoint,
): Promise<TrainingResult> {
  const request = { model, images, triggerWord: 'sks', options: { ...options, ...changes } };
  return trainLora({ ...request, ...(resumeFrom ? { resumeFrom } : {}) }, new TrainControl(), events);
}

interface Parts {
  readonly unet: UNet2DCondition;
  readonly textEncoder: ClipTextEncoder;
}

/** The text encoder's answer to a prompt, and the UNet's under it. */
async function outputs({ unet, textEncoder }: Parts): Promise<{ context: Float32Array; out: Float32Array }> {
  const { lastHiddenState } = await textEncoder.encode([model.tokenizer.encode('a photo of sks').ids]);
  const sample = tensor(noise(8 * 8 * 4, 1, 1.5), [1, 8, 8, 4]);
  const out = unet.forward(sample, [321], lastHiddenState);
  const read = { context: await readTensor(lastHiddenState), out: await readTensor(out) };
  for (const t of [lastHiddenState, sample, out]) t.dispose();
  return read;
}

function plugged({ unet, textEncoder }: Parts, adapter: Adapter): () => void {
  const parts = [unet, textEncoder].map(({ adaptableLayers }) => PluggedAdapters.plug(adaptableLayers, [adapter]));
  return () => parts.forEach((part) => part.unplug());
}

function expectSame(
  actual: { context: Float32Array; out: Float32Array },
  expected: { context: Float32Array; out: Float32Array },
): void {
  expectClose(actual.context, expected.context, 1e-5, 'context');
  expectClose(actual.out, expected.out, 1e-5, 'out');
}

function byName(modules: readonly LoraModule[]): Map<string, LoraModule> {
  return new Map(modules.map((module) => [module.module, module]));
}

describe.each(['lora', 'dora'] as const)('%s', (adapterKind) => {
  let result: TrainingResult;
  const checkpoints: Checkpoint[] = [];

  beforeAll(async () => {
    const onCheckpoint: TrainingEvents['onCheckpoint'] = async ({ checkpoint }) => void checkpoints.push(checkpoint);
    result = await train({ adapterKind, checkpoints: { everySteps: 1, keep: 0 } }, { onCheckpoint });
  }, 600_000);

  test('every module that the options name has learnt; what they freeze is left out', () => {
    const wanted = adaptableModules(model).filter(({ module, target }) => isTrained(module, target, options));
    expect(result.modules.map(({ module }) => module).sort()).toEqual(wanted.map(({ module }) => module).sort());
    expect(result.modules.some(({ module }) => module.startsWith('mid_block'))).toBe(false);
    // Module dropout leaves one in a thousand out of all three steps.
    const idle = result.modules.filter(({ up }) => up.every((value) => value === 0));
    expect(idle.length).toBeLessThan(result.modules.length / 100);
    for (const { module, rank, alpha, kernel, magnitude } of result.modules) {
      const is3x3 = kernel?.[0] === 3;
      expect([rank, alpha], `rank and alpha of ${module}`).toEqual(is3x3 ? [3, 1] : [4, 2]);
      expect(magnitude !== undefined, `magnitudes of ${module}`).toBe(adapterKind === 'dora');
    }
  });

  test('exported and read back, it acts as it did; the header tells how it was made', async () => {
    const facts = {
      ...trainingFactsOf({ ...options, adapterKind }),
      name: 'all',
      modelName: 'tiny',
      triggerWord: 'sks',
      captions: ['number 0'],
      startedAt: 0,
      finishedAt: 1000,
      globalStep: 3,
    };
    const bytes = adapterFile(result.modules, facts);
    const { metadata } = await openSafetensors(bytesSource('all', bytes));
    expect(metadata).toMatchObject({
      ss_network_dim: '4',
      ss_network_alpha: '2.0',
      ss_network_module: adapterKind === 'dora' ? 'lycoris.kohya' : 'networks.lora',
      ss_network_dropout: '0.1',
      ss_text_encoder_lr: '0.0005',
    });
    expect(JSON.parse(defined(metadata['ss_network_args']))).toMatchObject({
      conv_dim: '3',
      conv_alpha: '1',
      rank_dropout: '0.1',
      module_dropout: '0.1',
    });
    const { adapter: loaded, unmatched } = await readAdapterFile('all', bytes, adaptableModules(model));
    expect(unmatched).toEqual([]);

    const parts: Parts = { unet: await model.loadUNet(), textEncoder: await model.loadTextEncoder() };
    const base = await outputs(parts);
    const tensors = tensorCount();
    const layers = layersToTrain(
      { unet: parts.unet.adaptableLayers, textEncoder: parts.textEncoder.adaptableLayers },
      options,
    );
    const trained = TrainableAdapter.fromModules(layers, byName(result.modules));
    const own = await outputs(parts);
    expect(Math.max(...own.out.map((value, i) => Math.abs(value - base.out[i]!)))).toBeGreaterThan(1e-3);
    expect(own.context).not.toEqual(base.context);
    expect(await trained.toModules()).toEqual(result.modules);
    const putBack = trained.detach();
    // To the bit: nothing of it is left.
    expect(await outputs(parts)).toEqual(base);
    const unplug = plugged(parts, loaded);
    expectSame(await outputs(parts), own);
    unplug();
    putBack();
    expect((await outputs(parts)).out).toEqual(own.out);
    trained.dispose();
    expect(tensorCount()).toBe(tensors);
    parts.unet.dispose();
    parts.textEncoder.dispose();
  });

  test('goes on from a checkpoint in the same bytes', async () => {
    const first = defined(checkpoints.find(({ position }) => position.globalStep === 1));
    const again = await train({ adapterKind }, {}, first);
    expect(again.modules).toEqual(result.modules);
  });
});

test('dropout changes what is learnt, by the seed alone', async () => {
  const targets = { ...defaultTrainOptions.targets };
  const run = async (dropout: TrainOptions['dropout']): Promise<LoraModule[]> => [
    ...(await train({ dropout, targets, maxTrainSteps: 2, textEncoder: defaultTrainOptions.textEncoder })).modules,
  ];
  const [none, some, again] = [
    await run({ network: 0, rank: 0, module: 0 }),
    await run({ network: 0.5, rank: 0, module: 0 }),
    await run({ network: 0.5, rank: 0, module: 0 }),
  ];
  expect(again).toEqual(some);
  expect(some).not.toEqual(none);
});

test('samples are drawn with the text encoder as it is then; nothing is left behind', async () => {
  const drawn: RgbImage[] = [];
  const sampled = {
    sampleEvery: 1,
    samplePrompts: [{ prompt: 'sks number 0', seed: 1 }],
    maxTrainSteps: 1,
    targets: { attention: false, feedForward: false, projections: false, convolutions: false },
  };
  const onSample: TrainingEvents['onSample'] = ({ images: own }) => void drawn.push(defined(own[0]).image);
  await train(sampled);
  trimMemory();
  const tensors = tensorCount();
  const { modules } = await train({ ...sampled, textEncoder: { train: true, learningRate: 1e-2 } }, { onSample });
  expect(modules.every(({ target }) => target === 'textEncoder')).toBe(true);
  expect(drawn).toHaveLength(2);
  expect(drawn[1]!.data).not.toEqual(drawn[0]!.data);
  trimMemory();
  expect(tensorCount()).toBe(tensors);
});
