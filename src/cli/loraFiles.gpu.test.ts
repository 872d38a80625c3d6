// Plan: adapters written in every form, read back and plugged in give the UNet's output of the original within 1e-5, and so does the sum of
// two made by merging; two at once are what they are alone, order aside; the text encoder's part acts in generation, with a weight of
// its own, and at 0 the picture is the base's to the bit, also for an adapter on convolutions; sliding it loads nothing again.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AdapterSlot, type WeightedAdapter } from '../adapter/slot.ts';
import { combineLoras } from '../export/combine.ts';
import { adapterOf } from '../export/runFile.ts';
import type { LoraFile } from '../formats/lora/types.ts';
import { openDevice } from '../gpu/device.ts';
import { readTensor, tensor, tensorCount } from '../gpu/ops.ts';
import { startRuntime, stopRuntime } from '../gpu/runtime.ts';
import { expectClose, noise } from '../gpu/testing.ts';
import { openDiffusionModel, type DiffusionModel } from '../models/repository.ts';
import type { UNet2DCondition } from '../models/unet.ts';
import { ImageGenerator } from '../session/generation.ts';
import type { GenerationRequest } from '../session/generationRequest.ts';
import { adaptableModules } from '../session/training.ts';
import { loadLora, saveLora } from './loraFiles.ts';
import { folderTree } from './nodeFiles.ts';

const fixtures = 'fixtures/sd15-tiny';
let folder: string;
let model: DiffusionModel;
let unet: UNet2DCondition;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'loratory-'));
  await startRuntime(await openDevice(navigator.gpu));
  model = await openDiffusionModel(await folderTree(`${fixtures}/model`));
  unet = await model.loadUNet();
});

afterAll(() => {
  stopRuntime();
  rmSync(folder, { recursive: true });
});

const load = (path: string): Promise<LoraFile> => loadLora(path, adaptableModules(model));

/** The UNet's output with adapters plugged in. */
async function output(
  loras: readonly { lora: Pick<LoraFile, 'modules' | 'changes'>; weight: number }[],
): Promise<Float32Array> {
  const slot = new AdapterSlot();
  slot.set(
    unet.adaptableLayers,
    loras.map(({ lora, weight }): WeightedAdapter => ({ adapter: adapterOf('test', lora), weight })),
  );
  const sample = tensor(noise(8 * 8 * 4, 1), [1, 8, 8, 4]);
  const context = tensor(noise(77 * 64, 2), [1, 77, 64]);
  const out = unet.forward(sample, [300], context);
  const values = await readTensor(out);
  for (const t of [sample, context, out]) t.dispose();
  slot.clear();
  return values;
}

describe('round trips', () => {
  test.each(['unet', 'locon', 'mixed'])('%s in every form', async (name) => {
    const original = await load(`${fixtures}/lora/kohya/${name}.safetensors`);
    const expected = await output([{ lora: original, weight: 0.8 }]);
    for (const form of ['kohya', 'diffusers', 'peft'] as const) {
      const path = join(folder, `${name}-${form}${form === 'peft' ? '' : '.safetensors'}`);
      await saveLora(path, original, { form, dtype: 'F32', metadata: {} });
      const again = await load(path);
      expect([again.form, again.unmatched]).toEqual([form, []]);
      expectClose(await output([{ lora: again, weight: 0.8 }]), expected, 1e-5, form);
    }
  });

  test('merging two, and both at once', async () => {
    const [a, b] = [
      await load(`${fixtures}/lora/kohya/unet.safetensors`),
      await load(`${fixtures}/lora/kohya/locon.safetensors`),
    ];
    const both = await output([
      { lora: a, weight: 0.8 },
      { lora: b, weight: -0.5 },
    ]);
    const { lora: merged } = combineLoras(
      [
        { lora: a, weight: 0.8 },
        { lora: b, weight: -0.5 },
      ],
      null,
    );
    expectClose(await output([{ lora: merged, weight: 1 }]), both, 1e-5);
    expectClose(
      await output([
        { lora: b, weight: -0.5 },
        { lora: a, weight: 0.8 },
      ]),
      both,
      1e-5,
    );
    const [alone, none] = [await output([{ lora: b, weight: 1 }]), await output([])];
    expect(
      await output([
        { lora: a, weight: 0 },
        { lora: b, weight: 0 },
      ]),
    ).toEqual(none);
    expect(Math.max(...alone.map((value, i) => Math.abs(value - none[i]!)))).toBeGreaterThan(0.01);
  });
});

describe('generating', () => {
  const request: GenerationRequest = {
    prompt: 'a disc',
    negativePrompt: '',
    seed: 7,
    numInferenceSteps: 1,
    guidanceScale: 3,
    width: 64,
    height: 64,
    scheduler: 'ddim',
    loras: [],
  };

  test("the text encoder's part, with a weight of its own; 0 is the base to the bit", async () => {
    const adapter = adapterOf('both', await load(`${fixtures}/lora/kohya/unet_te.safetensors`));
    const text = adapterOf('text', await load(`${fixtures}/lora/diffusers/te_flat.safetensors`));
    const conv = adapterOf('conv', await load(`${fixtures}/lora/kohya/locon.safetensors`));
    const generator = new ImageGenerator(model);
    const draw = async (...loras: GenerationRequest['loras']): Promise<Uint8Array> =>
      (await generator.generate({ ...request, loras })).data;
    const base = await draw();
    const whole = await draw({ adapter, weight: 1 });
    const unetOnly = await draw({ adapter, weight: 1, textEncoderWeight: 0 });
    const textOnly = await draw({ adapter, weight: 0, textEncoderWeight: 1 });
    for (const [x, y] of [
      [base, whole],
      [whole, unetOnly],
      [base, unetOnly],
      [base, textOnly],
      [textOnly, whole],
    ])
      expect(x).not.toEqual(y);
    expect(await draw({ adapter: text, weight: 1 })).toEqual(textOnly);
    expect(await draw({ adapter, weight: 0 }, { adapter: conv, weight: 0 })).toEqual(base);
    const withConv = await draw({ adapter: conv, weight: 1 });
    expect(withConv).not.toEqual(base);
    const count = tensorCount();
    expect(await draw({ adapter: conv, weight: 0.5 })).not.toEqual(withConv);
    expect(tensorCount()).toBe(count);
    expect(await draw({ adapter: conv, weight: 1 })).toEqual(withConv);
    expect(await draw()).toEqual(base);
    generator.dispose();
  });
});
