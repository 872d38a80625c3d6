// Plan: a request becomes pictures with their parameters, progress and previews as events; LoRAs of the library at their weights, a
// disabled one at 0 and not in the parameters; a tag that names none is refused; jobs wait their turn and can be cancelled; an
// interrupted one answers with what it has; settings come back from a PNG.
import 'fake-indexeddb/auto';
import { readFile } from 'node:fs/promises';
import { IDBFactory } from 'fake-indexeddb';
import { beforeEach, expect, test, vi } from 'vitest';
import { fixtureTree } from '../../tools/testing.ts';
import type { RgbImage } from '../core/image.ts';
import { readPictureParameters } from '../formats/pictureText.ts';
import { openDiffusionModel, type DiffusionModel } from '../models/repository.ts';
import type { GenerationOptions, ImageGenerator } from '../session/generation.ts';
import type { GenerationRequest } from '../session/generationRequest.ts';
import { RunStore } from '../storage/runStore.ts';
import { generationHandlers, type GenerationHandlers } from './generation.ts';
import type { GpuSession } from './gpuSession.ts';
import { Library } from './library.ts';
import type { GenerateRequest, QueueState } from './protocol.ts';
import type { RequestContext } from './server.ts';

const request: GenerateRequest = {
  jobId: 'job',
  modelId: 'a/b',
  prompt: 'a cat',
  negativePrompt: '',
  seed: 7,
  numInferenceSteps: 2,
  guidanceScale: 5,
  width: 8,
  height: 8,
  scheduler: 'euler',
  loras: [],
};
const image: RgbImage = { width: 8, height: 8, data: new Uint8Array(192).fill(50) };

let model: DiffusionModel;
let library: Library;
let handlers: GenerationHandlers;
let asked: GenerationRequest[];
let events: [string, unknown][];
let states: QueueState[];
/** Holds the generator after each step until the test lets it go on. */
let gate: () => Promise<void>;

/** Draws what the request asks for in two steps a batch, as far as it is let. */
async function draw(given: GenerationRequest, options: GenerationOptions) {
  asked.push(given);
  const count = given.batchCount ?? 1;
  for (let index = 0; index < count; index++) {
    for (const call of [1, 2]) {
      options.signal?.throwIfAborted();
      const fraction = (index * 2 + call) / (count * 2);
      await options.onStep?.({ call, calls: 2, batch: index, stage: 'first', fraction, preview: async () => [image] });
      await gate();
      if (options.interrupted?.()) break;
    }
    const isPartial = options.interrupted?.() ?? false;
    options.onPicture?.({ index, seed: given.seed + index, image, isPartial });
    if (isPartial) break;
  }
  return [];
}

const context = (signal = new AbortController().signal): RequestContext => ({
  signal,
  emit: (type, payload) => void events.push([type, payload]),
});

beforeEach(async () => {
  vi.stubGlobal('indexedDB', new IDBFactory());
  model = await openDiffusionModel(await fixtureTree('sd15-tiny/model'));
  const runs = new RunStore();
  library = new Library(runs);
  [asked, events, states] = [[], [], []];
  gate = async () => {};
  const generator = { model, draw } as unknown as ImageGenerator;
  const gpu = {
    generate: (_id: string, work: (one: ImageGenerator) => Promise<unknown>) => work(generator),
  } as unknown as GpuSession;
  handlers = generationHandlers({ gpu, runs, library, onQueue: (state) => states.push(state) });
});

test('a request becomes pictures with their own seeds and parameters, and events on the way', async () => {
  const { pictures } = await handlers.generate({ ...request, batchCount: 2, preview: 'auto' }, context());
  expect(pictures.map(({ jobId, index, seed, width, isPartial }) => [jobId, index, seed, width, isPartial])).toEqual([
    ['job', 0, 7, 8, false],
    ['job', 1, 8, 8, false],
  ]);
  expect(pictures[1]!.parameters).toContain('Seed: 8');
  const bytes = new Uint8Array(await pictures[1]!.png.arrayBuffer());
  expect(readPictureParameters(bytes, 'a.png')).toBe(pictures[1]!.parameters);
  const progress = events.filter(([type]) => type === 'generate.progress').map(([, payload]) => payload);
  expect(progress).toHaveLength(4);
  expect(progress[0]).toMatchObject({ step: 1, numInferenceSteps: 2, fraction: 0.25, batch: 0, previews: [image] });
  // Not every step is worth a preview.
  expect(progress[1]).toMatchObject({ previews: [] });
  expect(events.filter(([type]) => type === 'generate.picture')).toHaveLength(2);
  expect(states.map((state) => state.map(({ jobId, state: is }) => `${jobId} ${is}`))).toEqual([['job running'], []]);
});

test('LoRAs of the library come at their weights; one that is off is at 0 and in no parameters', async () => {
  const bytes = await readFile('fixtures/sd15-tiny/lora/kohya/unet.safetensors');
  const files = [new File([bytes], 'ink.safetensors')];
  const { added } = await library.handlers()['loras.add']({ files }, context());
  const source = { kind: 'file', loraId: added[0]!.id } as const;
  const on = { source, weight: 0.8, textEncoderWeight: 0.5 };
  const { pictures } = await handlers.generate({ ...request, loras: [on] }, context());
  expect(asked[0]!.loras).toMatchObject([{ weight: 0.8, textEncoderWeight: 0.5 }]);
  expect(pictures[0]!.parameters).toContain('<lora:ink:0.5:0.8>');
  const off = await handlers.generate({ ...request, loras: [{ ...on, enabled: false }] }, context());
  expect(asked[1]!.loras).toMatchObject([{ weight: 0 }]);
  expect(asked[1]!.loras[0]!.textEncoderWeight).toBeUndefined();
  expect(asked[1]!.loras[0]!.adapter).toBe(asked[0]!.loras[0]!.adapter);
  expect(off.pictures[0]!.parameters).not.toContain('lora');
  await handlers.generate({ ...request, prompt: 'a cat <lora:ink:0.3>' }, context());
  expect(asked[2]!.loras).toMatchObject([{ weight: 0.3 }]);
  await expect(handlers.generate({ ...request, prompt: '<lora:oil:1>' }, context())).rejects.toMatchObject({
    code: 'lora-not-found',
  });
});

test('jobs wait their turn; one that waits is cancelled before it begins, the one that draws after its step', async () => {
  let release = (): void => {};
  gate = () => new Promise((resolve) => (release = resolve));
  const first = handlers.generate({ ...request, jobId: 'first' }, context());
  const second = handlers.generate({ ...request, jobId: 'second' }, context());
  const third = handlers.generate({ ...request, jobId: 'third' }, context());
  await vi.waitFor(() => expect(asked).toHaveLength(1));
  expect((await handlers['queue.move']({ jobId: 'third', index: 0 }, context())).map(({ jobId }) => jobId)).toEqual([
    'first',
    'third',
    'second',
  ]);
  await handlers['queue.cancel']({ jobId: 'third' }, context());
  await expect(third).rejects.toMatchObject({ name: 'AbortError' });
  await handlers['queue.cancelAll']({}, context());
  release();
  await expect(first).rejects.toMatchObject({ name: 'AbortError' });
  await expect(second).rejects.toMatchObject({ name: 'AbortError' });
  expect(asked).toHaveLength(1);
  expect(await handlers['queue.list']({}, context())).toEqual([]);
});

test('an interrupted job answers with what it has', async () => {
  let release = (): void => {};
  gate = () => new Promise((resolve) => (release = resolve));
  const drawing = handlers.generate({ ...request, batchCount: 3 }, context());
  await vi.waitFor(() => expect(events).toHaveLength(1));
  await handlers['queue.interrupt']({ jobId: 'job' }, context());
  release();
  const { pictures } = await drawing;
  expect(pictures.map(({ isPartial }) => isPartial)).toEqual([true]);
});
