/** Whether a LoRA learns on this model: after training on the pixel-art set, other things come out as pixel art too. */
import { openAsBlob } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
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
  /** Sampling included; null where the pictures came from elsewhere. */
  readonly trainSeconds: number | null;
}

export interface LoraOptions {
  readonly preset: TrainPreset;
  readonly samples: string;
  readonly sampleEvery: number;
  readonly names: number;
}

interface Checkpoint {
  readonly step: number;
  readonly pictures: readonly RgbImage[];
  /** Mean of the losses since the checkpoint before; null where nothing was trained, or elsewhere. */
  readonly loss: number | null;
}

/** `count` names that are not in the set, evenly spread. */
export async function loraNames(samples: string, count: number): Promise<string[]> {
  const known = new Set((await pixelArtSet(samples)).map((image) => image.caption));
  return spread(
    drawingNames().filter((name) => !known.has(styledCaption('pixel-art', name))),
    count,
  );
}

/** Trains on the set and draws names that are not in it at every checkpoint. */
export async function measureLora(run: MeasureRun, options: LoraOptions): Promise<LoraReport> {
  const { preset } = options;
  const names = await loraNames(options.samples, options.names);
  const targets: RgbImage[] = [];
  for (const name of names) targets.push(await run.styled(name));
  const scores = (pictures: readonly RgbImage[]): number[] =>
    pictures.map((picture, i) => psnr(picture, defined(targets[i])));

  const base = await run.generate('Base', 'base', names);
  const started = Date.now();
  const checkpoints = run.drawn === null ? await train(run, options, names) : await drawn(run, run.drawn, names.length);
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
    trainSeconds: run.drawn === null ? (Date.now() - started) / 1000 : null,
  };
}

async function train(run: MeasureRun, options: LoraOptions, names: readonly string[]): Promise<Checkpoint[]> {
  const { preset, sampleEvery } = options;
  const checkpoints: Checkpoint[] = [];
  const losses: number[] = [];
  run.begin('Training', preset.maxTrainSteps);
  await trainLora(
    {
      model: run.model,
      images: await pixelArtSet(options.samples),
      triggerWord: '',
      options: {
        ...defaultTrainOptions,
        ...preset,
        resolution: run.side,
        sampleEvery,
        samplePrompts: names.map((name, i) => ({
          prompt: styledCaption('pixel-art', name),
          seed: run.sampling.seed + i,
        })),
        sampleInferenceSteps: run.sampling.numInferenceSteps,
        sampleGuidanceScale: run.sampling.guidanceScale,
      },
    },
    new TrainControl(),
    {
      onStep: ({ globalStep, loss }) => {
        losses.push(loss);
        run.tick('Training', globalStep, preset.maxTrainSteps);
      },
      onSample: ({ globalStep, images }) => {
        const loss = losses.length === 0 ? null : mean(losses.splice(0));
        checkpoints.push({ step: globalStep, pictures: images.map(({ image }) => image), loss });
      },
    },
  );
  return checkpoints;
}

/** The folders style-0, style-100, ... that draw.py wrote. */
async function drawn(run: MeasureRun, folder: string, count: number): Promise<Checkpoint[]> {
  const steps = (await readdir(folder))
    .flatMap((name) => /^style-(\d+)$/.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b);
  const checkpoints: Checkpoint[] = [];
  for (const step of steps) {
    checkpoints.push({ step, pictures: await run.read(join(folder, `style-${step}`), count), loss: null });
  }
  return checkpoints;
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
