// Plan: a job unpacks to what both trainers expect: images and captions side by side, a line for each in metadata.jsonl, TOML that
// reads back, commands with every option that has a counterpart; the README names the rest; awkward names do no harm.
import { unzipSync } from 'fflate';
import { describe, expect, it, test } from 'vitest';
import { presets } from '../core/presets.ts';
import { defaultOptimizer, type TrainOptions } from '../core/trainOptions.ts';
import { readKohyaConfig } from '../formats/kohya/readConfig.ts';
import { cropRegion, cutOut } from './cropRegion.ts';
import { diffusersCommand } from './diffusersCommand.ts';
import { type Job, jobFiles, type JobImage } from './job.ts';
import { zipPieces } from './zip.ts';

function image(fileName: string, more: Partial<JobImage> = {}): JobImage {
  const bytes = new TextEncoder().encode(`bytes of ${fileName}`);
  const read = async (): Promise<Uint8Array<ArrayBuffer>> => bytes;
  return {
    fileName,
    caption: `sks, ${fileName}`,
    repeats: 1,
    heldOut: false,
    size: bytes.length,
    mask: null,
    read,
    ...more,
  };
}

const mask = { size: 4, read: async () => new Uint8Array([1, 2, 3, 4]) };

const job: Job = {
  name: 'my dog / 2',
  triggerWord: 'sks',
  modelName: 'a/b',
  options: { ...presets.style, maskedLoss: true, samplePrompts: [{ prompt: "sks, a dog's bone", seed: 3 }] },
  images: [
    image('Cat.PNG'),
    image('cat.jpg', { repeats: 5, mask }),
    image('../evil.png', { caption: 'two\nlines' }),
    image('held.png', { heldOut: true }),
  ],
  recipe: '{}\n',
};

async function unpacked(asked: Job): Promise<Record<string, string>> {
  const pieces: Uint8Array[] = [];
  for await (const piece of zipPieces(jobFiles(asked))) pieces.push(piece);
  const files = unzipSync(new Uint8Array(await new Blob(pieces as Uint8Array<ArrayBuffer>[]).arrayBuffer()));
  return Object.fromEntries(Object.entries(files).map(([path, bytes]) => [path, new TextDecoder().decode(bytes)]));
}

describe('the folder', async () => {
  const files = await unpacked(job);
  const text = (path: string): string => files[`my dog _ 2-job/${path}`] ?? '';

  it('has images and captions side by side, by repeats, each name once', () => {
    expect(
      Object.keys(files)
        .map((path) => path.replace('my dog _ 2-job/', ''))
        .sort(),
    ).toEqual([
      'README.md',
      'config.toml',
      'dataset.toml',
      'dataset/1_sks/Cat.png',
      'dataset/1_sks/Cat.txt',
      'dataset/1_sks/_evil.png',
      'dataset/1_sks/_evil.txt',
      'dataset/5_sks/cat-2.jpg',
      'dataset/5_sks/cat-2.txt',
      'dataset/metadata.jsonl',
      'held-out/held.png',
      'held-out/held.txt',
      'masks/5_sks/cat-2.png',
      'recipe.json',
      'sample_prompts.txt',
      'train_diffusers.sh',
      'train_kohya.sh',
    ]);
    expect(text('dataset/5_sks/cat-2.jpg')).toBe('bytes of cat.jpg');
    expect(text('dataset/1_sks/_evil.txt')).toBe('two lines\n');
  });

  it('has a line for each image that is trained on', () => {
    const lines = text('dataset/metadata.jsonl')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown);
    expect(lines).toEqual([
      { file_name: '1_sks/Cat.png', text: 'sks, Cat.PNG' },
      { file_name: '5_sks/cat-2.jpg', text: 'sks, cat.jpg' },
      { file_name: '1_sks/_evil.png', text: 'two lines' },
    ]);
  });

  it('reads back as the same run', () => {
    const named = (name: string) => ({ name, text: text(name) });
    const read = readKohyaConfig(['config.toml', 'dataset.toml', 'sample_prompts.txt'].map(named));
    expect(read.options).toMatchObject({
      rank: 4,
      alpha: 4,
      maxTrainSteps: 600,
      learningRate: 1e-4,
      maskedLoss: true,
      seed: 42,
    });
    expect(read.options.samplePrompts).toEqual([
      { prompt: "sks, a dog's bone", seed: 3, width: 512, height: 512, numInferenceSteps: 20, guidanceScale: 7.5 },
    ]);
    expect(text('dataset.toml')).toContain('conditioning_data_dir = "masks/5_sks"');
    expect(read.notes.map(({ why }) => why)).toContain(
      'num_repeats differs between the subsets of dataset.toml: the first one’s counts.',
    );
  });

  it('has commands that a shell takes as they are meant', () => {
    expect(text('train_kohya.sh')).toContain('train_network.py" --config_file config.toml');
    expect(text('train_diffusers.sh')).toContain(String.raw`--validation_prompt 'sks, a dog'\''s bone'`);
    expect(text('train_diffusers.sh')).toMatch(/--center_crop \\\n {2}--random_flip \\\n {2}--rank 4 \\\n/);
  });

  it('says what is not carried over', () => {
    expect(text('README.md')).toContain('- **Masked loss**: It counts whole images.');
    expect(text('README.md')).toContain('- **Repeats of single images**: It shows each image once an epoch.');
    expect(text('README.md')).toContain('1 more in `held-out/`');
    expect(text('README.md')).toContain('pip install lycoris-lora');
  });
});

describe('diffusers’ command', () => {
  const namesOf = (options: TrainOptions): string[] =>
    diffusersCommand('a/b', options, 'dataset').args.map(([name]) => name);
  const lostOf = (options: TrainOptions): string[] =>
    diffusersCommand('a/b', options, 'dataset').notCarried.map(({ option }) => option);

  it('carries everything of the report’s presets but an alpha that is not the rank', () => {
    expect(lostOf(presets.style)).toEqual([]);
    expect(lostOf(presets.character)).toEqual(['Alpha']);
    expect(lostOf({ ...presets.diffusers, maxTrainEpochs: null })).toEqual([]);
  });

  it('writes what is set, and only that', () => {
    const options: TrainOptions = {
      ...presets.style,
      minSnrGamma: 5,
      noiseOffset: 0.1,
      checkpoints: { everySteps: 100, keep: 2 },
      predictionType: 'epsilon',
      optimizer: defaultOptimizer('adamw8bit'),
    };
    for (const name of [
      '--snr_gamma',
      '--noise_offset',
      '--checkpoints_total_limit',
      '--prediction_type',
      '--use_8bit_adam',
    ]) {
      expect(namesOf(options)).toContain(name);
      expect(namesOf(presets.style)).not.toContain(name);
    }
  });

  it('names what it cannot', () => {
    const options: TrainOptions = {
      ...presets.oneTrainer,
      optimizer: defaultOptimizer('lion'),
      lrScheduler: { name: 'polynomial', warmupSteps: 0, cycles: 1, power: 2 },
      maxGradNorm: 0,
      emaDecay: 0.9,
      flipProbability: 0.2,
      shuffleTags: true,
      loss: { kind: 'huber', huberDelta: 0.1, huberSchedule: 'snr' },
    };
    expect(lostOf(options)).toEqual([
      'Alpha',
      'Layers',
      'Train the text encoder',
      'Optimizer',
      'Power',
      'Max gradient norm',
      'EMA decay',
      'Buckets',
      'Flip',
      'Shuffle tags',
      'Loss',
    ]);
  });
});

test('a crop of one’s own is cut out of the original', () => {
  const options = { resolution: 64, buckets: presets.style.buckets };
  expect(cropRegion({ width: 200, height: 100 }, options, { x: 0.5, y: 0.5, zoom: 1 })).toEqual({
    width: 100,
    height: 100,
    left: 50,
    top: 0,
  });
  expect(cropRegion({ width: 200, height: 100 }, options, { x: 0, y: 1, zoom: 2 })).toEqual({
    width: 50,
    height: 50,
    left: 0,
    top: 50,
  });
  const data = Uint8Array.from({ length: 4 * 3 * 3 }, (_, i) => i);
  const cut = cutOut({ width: 4, height: 3, data }, { left: 1, top: 1, width: 2, height: 2 });
  expect(cut).toEqual({ width: 2, height: 2, data: Uint8Array.from([15, 16, 17, 18, 19, 20, 27, 28, 29, 30, 31, 32]) });
});
