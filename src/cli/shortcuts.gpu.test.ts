// Plan, on the tiny model: shortcuts that are off give the picture of before to the bit and its dispatches; each costs fewer dispatches and
// the less is left out, the nearer is the picture to the full one; both work on batches, from a picture with a mask, with samplers
// of second order and with prompts that change; nothing is left behind; what makes no sense is refused by name.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { folderTree } from './nodeFiles.ts';
import type { RgbImage } from '../core/image.ts';
import { openDevice } from '../gpu/device.ts';
import { tensorCount } from '../gpu/ops.ts';
import { runtime, startRuntime, stopRuntime } from '../gpu/runtime.ts';
import { openDiffusionModel } from '../models/repository.ts';
import { ImageGenerator } from '../session/generation.ts';
import { GenerateOptionError, type GenerationRequest } from '../session/generationRequest.ts';

let generator: ImageGenerator;

beforeAll(async () => {
  await startRuntime(await openDevice(navigator.gpu));
  generator = new ImageGenerator(await openDiffusionModel(await folderTree('fixtures/sd15-tiny/model')));
});

afterAll(() => {
  generator.dispose();
  stopRuntime();
});

const request: GenerationRequest = {
  prompt: 'a red house by the sea',
  negativePrompt: 'a tree',
  seed: 42,
  numInferenceSteps: 4,
  guidanceScale: 7.5,
  width: 64,
  height: 64,
  scheduler: 'ddim',
  loras: [],
};

async function draw(changes: Partial<GenerationRequest> = {}): Promise<{ image: RgbImage; dispatches: number }> {
  const before = runtime().counters.dispatches;
  const image = await generator.generate({ ...request, ...changes });
  return { image, dispatches: runtime().counters.dispatches - before };
}

/** Root mean square of the difference, 0..255. */
function distance(a: RgbImage, b: RgbImage): number {
  return Math.sqrt(a.data.reduce((sum, value, i) => sum + (value - b.data[i]!) ** 2, 0) / a.data.length);
}

test('off: the same bits and dispatches; on: fewer, and nearer the less is left out', async () => {
  const [two, four] = [await draw({ reuseInterval: 2 }), await draw({ reuseInterval: 4 })];
  const full = await draw();
  const off = await draw({ guidanceStart: 0, guidanceEnd: 1, reuseInterval: 1 });
  expect(off.image.data).toEqual(full.image.data);
  expect(off.dispatches).toBe(full.dispatches);
  expect(two.dispatches).toBeLessThan(full.dispatches);
  expect(four.dispatches).toBeLessThan(two.dispatches);
  expect(distance(two.image, full.image)).toBeGreaterThan(0);
  expect(distance(two.image, full.image)).toBeLessThan(distance(four.image, full.image));

  const [long, short] = [await draw({ guidanceEnd: 0.75 }), await draw({ guidanceEnd: 0.25 })];
  expect(distance(long.image, full.image)).toBeGreaterThan(0);
  expect(distance(long.image, full.image)).toBeLessThan(distance(short.image, full.image));
});

test('both at once: batches, masks, samplers of second order, prompts that change; nothing is left behind', async () => {
  const both = { guidanceStart: 0.1, guidanceEnd: 0.6, reuseInterval: 2 };
  const alone = (await draw({ ...both, seed: 43 })).image;
  const right = { width: 64, height: 64, data: new Uint8Array(64 * 64 * 3).map((_, i) => (i % 192 < 96 ? 0 : 255)) };
  const painted = (await draw({ ...both, init: { image: alone, strength: 0.75, mask: right } })).image;
  const isKept = painted.data.every((value, i) => i % 192 >= 96 || value === alone.data[i]);
  expect(isKept).toBe(true);
  expect(distance(painted, alone)).toBeGreaterThan(0);

  const tensors = tensorCount();
  const batch = await generator.draw({ ...request, ...both, batchSize: 2 });
  expect(distance(batch[1]!.image, alone)).toBeLessThan(1);
  const heun = await draw({ ...both, scheduler: 'heun', numInferenceSteps: 2 });
  expect(distance(heun.image, alone)).toBeGreaterThan(0);
  // Nothing of the cat is reused for the dog.
  const dog = await draw({ prompt: 'a dog', reuseInterval: 4 });
  const changing = await draw({ prompt: '[a cat:a dog:2]', reuseInterval: 4 });
  expect(changing.dispatches).toBeGreaterThan(dog.dispatches);
  expect(tensorCount()).toBe(tensors);
});

test.each([
  [{ guidanceStart: -0.1 }, 'guidanceStart is -0.1, but it must lie between 0 and 1.'],
  [{ guidanceEnd: 1.5 }, 'guidanceEnd is 1.5, but it must lie between 0 and 1.'],
  [{ guidanceStart: 0.6, guidanceEnd: 0.4 }, 'guidanceStart is 0.6, but it must not lie above guidanceEnd, 0.4.'],
  [{ reuseInterval: 0 }, 'reuseInterval is 0, but it must be a whole number from 1 to 20.'],
  [{ reuseInterval: 2.5 }, 'reuseInterval is 2.5, but it must be a whole number from 1 to 20.'],
])('%o is refused', async (changes, message) => {
  const refusal: unknown = await generator.draw({ ...request, ...changes }).catch((error: unknown) => error);
  expect(refusal).toBeInstanceOf(GenerateOptionError);
  expect(refusal).toHaveProperty('message', message);
});
