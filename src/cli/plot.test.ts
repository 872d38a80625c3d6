// Plan: samplers by any of their names, Karras or not; steps of a training by the files beside the LoRA, in both spellings; a step that
// is not there is refused; a plot that is stopped keeps what it has.
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseAxis, planPlot } from '../core/plot.ts';
import { openDiffusionModel, type DiffusionModel } from '../models/repository.ts';
import { folderTree } from './nodeFiles.ts';
import { drawPlot, openPlotLoras, plotContext, type NamedRequest } from './plot.ts';
import { openLoras } from './promptFiles.ts';

const request: NamedRequest = {
  prompt: 'a cat',
  negativePrompt: '',
  seed: 1,
  numInferenceSteps: 2,
  guidanceScale: 5,
  width: 64,
  height: 64,
  scheduler: 'ddim',
  schedulerOptions: { useKarrasSigmas: true, timestepSpacing: 'leading' },
  loras: [],
};

let folder: string;
let model: DiffusionModel;
beforeAll(async () => {
  model = await openDiffusionModel(await folderTree('fixtures/sd15-tiny/model'));
  folder = await mkdtemp(join(tmpdir(), 'plot-'));
  const source = 'fixtures/sd15-tiny/lora/kohya/unet.safetensors';
  for (const name of ['style', 'style-000100', 'style-step00000200'])
    await copyFile(source, join(folder, `${name}.safetensors`));
});
afterAll(() => rm(folder, { recursive: true }));

test('samplers go by any of their names', () => {
  const plot = planPlot(request, [parseAxis('scheduler', 'Euler a, DPM++ 2M Karras, euler')], plotContext(new Map()));
  expect(plot.cells.map(({ settings }) => [settings.scheduler, settings.schedulerOptions])).toEqual([
    ['euler_a', { timestepSpacing: 'leading' }],
    ['dpmpp_2m', { timestepSpacing: 'leading', useKarrasSigmas: true }],
    ['euler', { timestepSpacing: 'leading' }],
  ]);
});

test('steps of a training are the files beside the LoRA', async () => {
  const file = join(folder, 'style.safetensors');
  const loras = await openLoras([{ path: file, weight: 0.5 }], model);
  const axes = [parseAxis('training-step', '100, 200')];
  const steps = await openPlotLoras(axes, [file], model);
  const plot = planPlot({ ...request, loras }, axes, plotContext(steps));
  expect(plot.cells.map(({ settings }) => settings.loras.map(({ name, weight }) => [name, weight]))).toEqual([
    [['style-000100', 0.5]],
    [['style-step00000200', 0.5]],
  ]);
  const missing = [parseAxis('training-step', '300')];
  const none = await openPlotLoras(missing, [file], model);
  expect(() => planPlot({ ...request, loras }, missing, plotContext(none))).toThrow(
    'step 300 of the LoRA was not kept',
  );
});

test('cells are drawn into one image; a plot that is stopped keeps what it has', async () => {
  const plot = planPlot(request, [parseAxis('seed', '1-3'), parseAxis('guidance', '2, 4')], plotContext(new Map()));
  const drawn: string[] = [];
  const draw = async (
    { seed, guidanceScale }: NamedRequest,
    onPicture: Parameters<Parameters<typeof drawPlot>[1]>[1],
  ) => {
    drawn.push(`${seed} ${guidanceScale}`);
    const image = { width: 8, height: 8, data: new Uint8Array(192).fill(seed) };
    onPicture({ index: 0, seed, image, isPartial: false });
  };
  const { settings } = await drawPlot(plot, draw, () => drawn.length === 4);
  expect(drawn).toEqual(['1 2', '1 4', '2 2', '2 4']);
  expect(settings).toContainEqual(['X Type', 'Seed']);
});
