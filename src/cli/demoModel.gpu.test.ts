// Plan: the demo model that ships in public/ draws, for a seed, the picture that torch draws for it (tools/demo-model/
// reference.py: float32 on the same fp16 weights).
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openDevice } from '../gpu/device.ts';
import { startRuntime, stopRuntime } from '../gpu/runtime.ts';
import { openDiffusionModel } from '../models/repository.ts';
import { ImageGenerator } from '../session/generation.ts';
import { sharp } from '../../tools/sharp.ts';
import { folderTree } from './nodeFiles.ts';

interface ReferenceCase {
  readonly prompt: string;
  readonly seed: number;
  readonly guidance: number;
  readonly steps: number;
  readonly file: string;
}

const folder = 'fixtures/demo-model';
const cases = JSON.parse(readFileSync(`${folder}/reference.json`, 'utf8')) as ReferenceCase[];

let generator: ImageGenerator;

beforeAll(async () => {
  await startRuntime(await openDevice(navigator.gpu));
  generator = new ImageGenerator(await openDiffusionModel(await folderTree('public/models/demo')));
});

afterAll(() => {
  generator.dispose();
  stopRuntime();
});

describe('the demo model', () => {
  test.each(cases)(
    'draws torch’s picture for "$prompt", seed $seed',
    async ({ prompt, seed, guidance, steps, file }) => {
      const picture = await generator.generate({
        prompt,
        negativePrompt: '',
        seed,
        numInferenceSteps: steps,
        guidanceScale: guidance,
        width: 64,
        height: 64,
        scheduler: 'ddim',
        loras: [],
      });
      const expected = await sharp(`${folder}/${file}`).removeAlpha().raw().toBuffer();
      expect(picture.data.length).toBe(expected.length);
      const differences = Array.from(picture.data, (value, i) => Math.abs(value - (expected[i] ?? Number.NaN)));
      // Float arithmetic in another order over dozens of steps: a rounding step here and there, nowhere more than a few.
      expect(differences.reduce((sum, value) => sum + value, 0) / differences.length).toBeLessThan(0.25);
      expect(Math.max(...differences)).toBeLessThanOrEqual(6);
    },
  );
});
