// Plan: that training learns. A miniature model of random weights is given one picture at one timestep with one noise again and again, all three held: its loss falls
// below a tenth of the start, and of another noise it knows more than before. The demo model is given one picture that it could not have drawn, a
// yellow disc on deep blue: the loss on a copy that is held out, at five timesteps with noise that it is never trained on, falls, and samples of the
// same seed come nearer to the picture.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { writeMiniature } from '../../tools/miniature.ts';
import { layersToTrain, TrainableAdapter } from '../adapter/trainable.ts';
import type { RgbImage } from '../core/image.ts';
import { presets } from '../core/presets.ts';
import { defaultTrainOptions, type TrainOptions } from '../core/trainOptions.ts';
import { openDevice } from '../gpu/device.ts';
import { startRuntime, stopRuntime } from '../gpu/runtime.ts';
import { cacheLatents } from '../latents/cache.ts';
import { encodePrompts } from '../latents/embeddings.ts';
import { type DiffusionModel, openDiffusionModel } from '../models/repository.ts';
import { TrainControl } from '../session/control.ts';
import { trainLora } from '../session/training.ts';
import { diffusionSettings, type NoisyBatch } from '../trainer/batch.ts';
import { LoraTrainer } from '../trainer/trainer.ts';
import { validationBatches } from '../trainer/validation.ts';
import { folderTree } from './nodeFiles.ts';

beforeAll(async () => {
  await startRuntime(await openDevice(navigator.gpu));
});

afterAll(() => stopRuntime());

const yellow = [240, 220, 40] as const;
const blue = [20, 30, 120] as const;

function disc(side: number): RgbImage {
  const centre = (side - 1) / 2;
  const data = new Uint8Array(side * side * 3);
  for (let y = 0; y < side; y++)
    for (let x = 0; x < side; x++)
      data.set(Math.hypot(x - centre, y - centre) < 0.28 * side ? yellow : blue, (y * side + x) * 3);
  return { width: side, height: side, data };
}

/** The disc at timestep 500 with the noise of each seed, as a validation has it. */
async function batchesOf(model: DiffusionModel, seeds: readonly number[]): Promise<NoisyBatch[]> {
  const vae = await model.loadVae({ encoder: true, decoder: false });
  const latents = await cacheLatents(vae, disc(16), { flip: false });
  vae.dispose();
  const textEncoder = await model.loadTextEncoder();
  const embeddings = await encodePrompts(textEncoder, model.tokenizer, ['sks disc']);
  textEncoder.dispose();
  const example = { crops: [{ latents, mask: null }], caption: 'sks disc', weight: 1 };
  return seeds.flatMap((seed) =>
    validationBatches(
      [example],
      { ...defaultTrainOptions.validation, timesteps: [500], seed },
      {
        settings: diffusionSettings(defaultTrainOptions, model.schedulerConfig),
        scalingFactor: model.vaeConfig.scalingFactor,
        batchSize: 1,
        embeddingOf: (caption) => embeddings.get(caption)!,
      },
    ),
  );
}

test('one picture is learnt by heart', async () => {
  const miniature = await writeMiniature();
  const { model } = miniature;
  const [batch, other] = await batchesOf(model, [1, 2]);
  const unet = await model.loadUNet();
  const options: TrainOptions = {
    ...defaultTrainOptions,
    rank: 16,
    alpha: 16,
    convRank: 16,
    convAlpha: 16,
    targets: { attention: true, feedForward: true, projections: true, convolutions: true },
  };
  const adapter = TrainableAdapter.create(layersToTrain({ unet: unet.adaptableLayers }, options), options);
  const trainer = new LoraTrainer({ unet }, adapter.parameterGroups(), options);
  const [otherBefore] = await trainer.validationLoss(other!);
  const losses: number[] = [];
  for (let step = 0; step < 13; step++) losses.push((await trainer.step([batch!], 1e-2)).loss);
  const [otherAfter] = await trainer.validationLoss(other!);
  expect(losses.at(-1)! / losses[0]!).toBeLessThan(0.1);
  expect(otherAfter! / otherBefore!).toBeLessThan(0.85);
  trainer.dispose();
  adapter.dispose();
  unet.dispose();
  await miniature.remove();
});

/** Mean of the squared differences of two pictures' values. */
function distance(a: RgbImage, b: RgbImage): number {
  return a.data.reduce((sum, value, i) => sum + (value - b.data[i]!) ** 2, 0) / a.data.length;
}

test('the demo model: the loss falls, and samples come nearer to what is learnt', async () => {
  const model = await openDiffusionModel(await folderTree('public/models/demo'));
  const [side, steps] = [32, 6];
  const options: TrainOptions = {
    ...defaultTrainOptions,
    ...presets.demoStyle,
    learningRate: 4e-3,
    targets: { attention: true, feedForward: true, projections: true, convolutions: true },
    trainBatchSize: 1,
    maxTrainSteps: steps,
    resolution: side,
    validation: { ...defaultTrainOptions.validation, everySteps: steps },
    sampleEvery: steps,
    samplePrompts: [{ prompt: 'sks disc', seed: 3 }],
    sampleInferenceSteps: 3,
    sampleGuidanceScale: 1,
  };
  const image = { caption: 'disc', pixels: async () => disc(side) };
  const images = [
    { ...image, id: 'learnt' },
    { ...image, id: 'copy', heldOut: true },
  ];
  const losses: number[] = [];
  const samples: RgbImage[] = [];
  await trainLora({ model, images, triggerWord: 'sks', options }, new TrainControl(), {
    onValidation: ({ loss }) => void losses.push(loss),
    onSample: ({ images: drawn }) => {
      samples.push(drawn[0]!.image);
    },
  });
  expect(losses).toHaveLength(2);
  expect(losses[1]! / losses[0]!).toBeLessThan(0.7);
  expect(samples).toHaveLength(2);
  expect(distance(samples[1]!, disc(side)) / distance(samples[0]!, disc(side))).toBeLessThan(0.7);
});
