/** Whether a LoRA learns on this model: after training on the pixel-art set, other things come out as pixel art too. */
import { openAsBlob } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { decodeInNode } from '../../src/cli/decodeImage.ts';
import { imageGrid } from '../../src/cli/grid.ts';
import type { RgbImage } from '../../src/core/image.ts';
import { defined } from '../../src/core/invariant.ts';
import type { TrainPreset } from '../../src/core/presets.ts';
import { defaultTrainOptions } from '../../src/core/trainOptions.ts';
import { TrainControl } from '../../src/session/control.ts';
import { trainLora, type TrainingImage } from '../../src/session/training.ts';
import { drawingNames } from './drawings.mjs';
import type { MeasureRun } from './measureRun.ts';
import { mean, psnr, spread } from './measureScores.ts';
import { styledCaption } from './styles.mjs';

export interface LoraReport {
  readonly preset: TrainPreset;
  readonly names: readonly string[];
  /** Mean PSNR in dB of the base's pictures to the style's rendering, prompted by the plain names. */
  readonly basePlain: number;
  /** The same as training goes on, prompted by the style's wording; step 0 is the base. */
  readonly checkpoints: readonly { readonly step: number; readonly meanPsnr: number; readonly loss: number | null }[];
  /** Mean over the names of the last checkpoint's PSNR less the base's, for the same prompts and for the plain names. */
  readonly gain: number;
  readonly gainOverPlain: number;
  readonly trainSeconds: number;
}

export interface LoraOptions {
  readonly preset: TrainPreset;
  readonly samples: string;
  readonly sampleEvery: number;
  readonly names: number;
}

/** Trains on the set and draws names that are not in it at every checkpoint. */
export async function measureLora(run: MeasureRun, options: LoraOptions): Promise<LoraReport> {
  const { preset, sampleEvery } = options;
  const images = await pixelArtSet(options.samples);
  const known = new Set(images.map((image) => image.caption));
  const caption = (name: string): string => styledCaption('pixel-art', name);
  const names = spread(
    drawingNames().filter((name) => !known.has(caption(name))),
    options.names,
  );
  const targets: RgbImage[] = [];
  for (const name of names) targets.push(await run.styled(name));
  const scores = (pictures: readonly RgbImage[]): number[] =>
    pictures.map((picture, i) => psnr(picture, defined(targets[i])));

  const base = await run.generate('Base', names);
  const checkpoints: { step: number; pictures: readonly RgbImage[]; loss: number | null }[] = [];
  const losses: number[] = [];
  let trainSeconds = 0;
  let stepStarted = Date.now();
  run.begin('Training', preset.maxTrainSteps);
  await trainLora(
    {
      model: run.model,
      images,
      triggerWord: '',
      options: {
        ...defaultTrainOptions,
        ...preset,
        resolution: run.side,
        sampleEvery,
        samplePrompts: names.map((name, i) => ({ prompt: caption(name), seed: run.sampling.seed + i })),
        sampleInferenceSteps: run.sampling.numInferenceSteps,
        sampleGuidanceScale: run.sampling.guidanceScale,
      },
    },
    new TrainControl(),
    {
      onStep: ({ globalStep, loss }) => {
        losses.push(loss);
        trainSeconds += (Date.now() - stepStarted) / 1000;
        stepStarted = Date.now();
        run.tick('Training', globalStep, preset.maxTrainSteps);
      },
      onSample: ({ globalStep, images: drawn }) => {
        const loss = losses.length === 0 ? null : mean(losses.splice(0));
        checkpoints.push({ step: globalStep, pictures: drawn.map(({ image }) => image), loss });
        stepStarted = Date.now();
      },
    },
  );
  const rows = [base, ...checkpoints.map(({ pictures }) => pictures), targets];
  await run.save('lora.png', imageGrid(rows.flat(), names.length));
  const gained = (before: readonly RgbImage[]): number =>
    mean(scores(defined(checkpoints.at(-1)).pictures)) - mean(scores(before));
  return {
    preset,
    names,
    basePlain: mean(scores(base)),
    checkpoints: checkpoints.map(({ step, pictures, loss }) => ({ step, meanPsnr: mean(scores(pictures)), loss })),
    gain: gained(defined(checkpoints[0]).pictures),
    gainOverPlain: gained(base),
    trainSeconds,
  };
}

interface SampleIndex {
  readonly sets: readonly {
    readonly id: string;
    readonly images: readonly { readonly file: string; readonly caption: string }[];
  }[];
}

/** The sample set that the studio ships, from the folder with index.json. */
async function pixelArtSet(folder: string): Promise<TrainingImage[]> {
  const { sets } = JSON.parse(await readFile(join(folder, 'index.json'), 'utf8')) as SampleIndex;
  const set = defined(
    sets.find(({ id }) => id === 'pixel-art'),
    `the set pixel-art of ${folder}`,
  );
  return set.images.map(({ file, caption }) => ({
    id: file,
    caption,
    pixels: async () => decodeInNode(await openAsBlob(join(folder, file))),
  }));
}
