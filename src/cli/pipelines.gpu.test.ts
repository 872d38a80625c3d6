// Plan: the pipelines on the tiny model. Pictures of a batch are those drawn alone, with A1111's seeds and with diffusers'; rows that
// go through the UNet one by one or together give the same, a lent UNet stays its owner's; keys and values that are kept give the same bits with fewer dispatches;
// inpainting leaves what the mask keeps to the bit and changes the rest; hires fix ends at its size by either way; tiles give the
// picture of the whole; interrupting keeps what there is; adapters at 0 are the base to the bit, sliding uploads no weights.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Adapter } from '../adapter/lora.ts';
import { folderTree } from './nodeFiles.ts';
import type { RgbImage } from '../core/image.ts';
import { TorchGenerator } from '../core/rng.ts';
import type { LoraModule } from '../formats/lora/types.ts';
import { toModelRange } from '../dataset/preprocess.ts';
import { openDevice } from '../gpu/device.ts';
import { readTensor, tensor } from '../gpu/ops.ts';
import { runtime, startRuntime, stopRuntime } from '../gpu/runtime.ts';
import { openDiffusionModel, type DiffusionModel } from '../models/repository.ts';
import { CrossAttentionCache } from '../models/spatialTransformer.ts';
import { decodeLatents } from '../sampler/image.ts';
import { ImageGenerator, type DrawnPicture } from '../session/generation.ts';
import type { GenerationRequest } from '../session/generationRequest.ts';
import { adaptableModules } from '../session/training.ts';

let model: DiffusionModel;
let generator: ImageGenerator;

beforeAll(async () => {
  await startRuntime(await openDevice(navigator.gpu));
  model = await openDiffusionModel(await folderTree('fixtures/sd15-tiny/model'));
  generator = new ImageGenerator(model);
});

afterAll(() => {
  generator.dispose();
  stopRuntime();
});

const request: GenerationRequest = {
  prompt: 'a red house by the sea',
  negativePrompt: '',
  seed: 42,
  numInferenceSteps: 2,
  guidanceScale: 7.5,
  width: 64,
  height: 64,
  scheduler: 'ddim',
  loras: [],
};

/** The largest difference of two pictures' values, 0..255. */
function difference(a: RgbImage, b: RgbImage): number {
  expect([a.width, a.height]).toEqual([b.width, b.height]);
  return a.data.reduce((most, value, i) => Math.max(most, Math.abs(value - b.data[i]!)), 0);
}

const only = (pictures: readonly DrawnPicture[]): RgbImage => {
  expect(pictures).toHaveLength(1);
  return pictures[0]!.image;
};

/** A picture of two colours, and a mask that keeps its left half. */
function halves(width: number, height: number, left: readonly number[], right: readonly number[]): RgbImage {
  const data = new Uint8Array(width * height * 3);
  for (let p = 0; p < width * height; p++) data.set(p % width < width / 2 ? left : right, p * 3);
  return { width, height, data };
}

describe('batches', () => {
  test("pictures of a batch are those drawn alone, with A1111's seeds, for a scheduler that draws noise at every step", async () => {
    const asked = { ...request, scheduler: 'euler_a', batchSize: 2, batchCount: 2 } as const;
    const seen: number[] = [];
    const together = await generator.draw(asked, { onPicture: ({ index }) => seen.push(index) });
    expect(together.map(({ seed }) => seed)).toEqual([42, 43, 44, 45]);
    expect(seen).toEqual([0, 1, 2, 3]);
    const alone = only(await generator.draw({ ...asked, seed: 43, batchSize: 1, batchCount: 1 }));
    expect(difference(together[1]!.image, alone)).toBeLessThanOrEqual(1);
    expect(difference(together[0]!.image, alone)).toBeGreaterThan(3);
    const last = only(await generator.draw({ ...asked, seed: 45, batchSize: 1, batchCount: 1 }));
    expect(difference(together[3]!.image, last)).toBeLessThanOrEqual(1);
  });

  test("diffusers' seeds: one generator a batch, so that the first picture is the single one and the second is none of A1111's", async () => {
    const asked = { ...request, seedMode: 'diffusers', batchSize: 2 } as const;
    const together = await generator.draw(asked);
    expect(together.map(({ seed }) => seed)).toEqual([42, 42]);
    const single = only(await generator.draw({ ...request }));
    expect(difference(together[0]!.image, single)).toBeLessThanOrEqual(1);
    const next = only(await generator.draw({ ...request, seed: 43 }));
    expect(difference(together[1]!.image, next)).toBeGreaterThan(3);
  });

  test('rows that go through the UNet one by one give what they give together; a UNet that was lent is not freed', async () => {
    const asked = { ...request, batchSize: 3 };
    const together = await generator.draw(asked);
    const unet = await model.loadUNet();
    const rows: number[] = [];
    const forward = unet.forward.bind(unet);
    unet.forward = (sample, ...rest) => {
      rows.push(sample.shape[0]);
      return forward(sample, ...rest);
    };
    unet.maxRows = () => 4;
    const borrowing = new ImageGenerator(model, { unet });
    const parts = await borrowing.draw(asked);
    borrowing.dispose();
    // Three pictures, twice for the guidance, at each of two steps.
    expect(rows).toEqual([4, 2, 4, 2]);
    for (const [i, { image }] of parts.entries()) expect(difference(image, together[i]!.image)).toBeLessThanOrEqual(1);
    const sample = tensor(new Float32Array(8 * 8 * 4), [1, 8, 8, 4]);
    const context = tensor(new Float32Array(77 * model.textConfig.hiddenSize), [1, 77, model.textConfig.hiddenSize]);
    const out = forward(sample, [1], context);
    expect((await readTensor(out)).every(Number.isFinite)).toBe(true);
    for (const t of [out, sample, context]) t.dispose();
    unet.dispose();
  });

  test('an interrupted batch gives its partial pictures and those before; nothing after it is drawn', async () => {
    let calls = 0;
    const drawn = await generator.draw(
      { ...request, batchCount: 3 },
      { onStep: () => void calls++, interrupted: () => calls === 3 },
    );
    expect(drawn.map(({ isPartial }) => isPartial)).toEqual([false, true]);
    expect(calls).toBe(3);
  });

  test('progress rises to the whole; a preview can be had of every step', async () => {
    const fractions: number[] = [];
    await generator.draw(
      { ...request, batchCount: 2, hires: { scale: 1.25, steps: 0, strength: 0.5, upscaler: 'latent' } },
      {
        onStep: async ({ fraction, stage, preview }) => {
          fractions.push(fraction);
          const factor = stage === 'hires' ? 1.25 : 1;
          const colours = await preview('colours');
          expect(colours.map(({ width, height }) => [width, height])).toEqual([[8 * factor, 8 * factor]]);
        },
      },
    );
    expect(fractions).toEqual([...fractions].sort((a, b) => a - b));
    expect(fractions).toHaveLength(6);
    expect(fractions.at(-1)).toBe(1);
  });
});

describe('keys and values of the cross attention', () => {
  test('kept ones give the same bits with fewer dispatches; a LoRA that changes needs new ones', async () => {
    const unet = await model.loadUNet();
    const rng = new TorchGenerator(1);
    const context = tensor(rng.randn(2 * 77 * model.textConfig.hiddenSize), [2, 77, model.textConfig.hiddenSize]);
    const sample = tensor(rng.randn(2 * 8 * 8 * 4), [2, 8, 8, 4]);
    const cache = new CrossAttentionCache();
    const run = async (kept?: CrossAttentionCache): Promise<{ values: Float32Array; dispatches: number }> => {
      const before = runtime().counters.dispatches;
      const out = unet.forward(sample, [500, 500], context, kept);
      const values = await readTensor(out);
      out.dispose();
      return { values, dispatches: runtime().counters.dispatches - before };
    };
    const fresh = await run();
    const filling = await run(cache);
    const kept = await run(cache);
    expect(filling.values).toEqual(fresh.values);
    expect(kept.values).toEqual(fresh.values);
    expect(filling.dispatches).toBe(fresh.dispatches);
    const crossAttentions = unet.adaptableLayers.filter((layer) =>
      'modules' in layer ? layer.modules.some((name) => name.endsWith('attn2.to_k')) : false,
    ).length;
    expect(crossAttentions).toBeGreaterThan(0);
    expect(fresh.dispatches - kept.dispatches).toBe(crossAttentions);
    cache.dispose();
    context.dispose();
    sample.dispose();
    unet.dispose();
  });
});

describe('image to image', () => {
  const init = { image: halves(80, 64, [200, 30, 30], [20, 40, 200]), strength: 0.5 };

  test('strength says how many steps are done again; 0 gives the picture as the VAE knows it', async () => {
    const calls: number[] = [];
    const onStep = ({ call, calls: all }: { call: number; calls: number }): void => void calls.push(call, all);
    const some = only(await generator.draw({ ...request, numInferenceSteps: 4, init }, { onStep }));
    expect(calls).toEqual([1, 2, 2, 2]);
    const none = only(await generator.draw({ ...request, init: { ...init, strength: 0 } }));
    expect(difference(some, none)).toBeGreaterThan(3);
    const batch = await generator.draw({ ...request, numInferenceSteps: 4, init, batchSize: 2 });
    expect(difference(batch[0]!.image, some)).toBeLessThanOrEqual(1);
  });

  test.each(['ddim', 'euler_a'] as const)(
    'inpainting by %s keeps the dark half to the bit and draws the light one',
    async (scheduler) => {
      const mask = halves(80, 64, [0, 0, 0], [255, 255, 255]);
      const fitted = { ...request, scheduler, numInferenceSteps: 3 };
      for (const strength of [0.7, 1]) {
        const drawn = only(await generator.draw({ ...fitted, init: { ...init, strength, mask } }));
        const changed = { left: 0, right: 0 };
        for (let p = 0; p < 64 * 64; p++) {
          const isLeft = p % 64 < 32;
          const original = isLeft ? [200, 30, 30] : [20, 40, 200];
          const isSame = original.every((value, k) => drawn.data[p * 3 + k] === value);
          if (!isSame) changed[isLeft ? 'left' : 'right']++;
        }
        expect(changed.left).toBe(0);
        expect(changed.right).toBeGreaterThan(1000);
      }
    },
  );

  test('a black mask gives the picture itself', async () => {
    const mask = halves(80, 64, [0, 0, 0], [0, 0, 0]);
    const drawn = only(await generator.draw({ ...request, init: { ...init, mask } }));
    expect(difference(drawn, halves(64, 64, [200, 30, 30], [20, 40, 200]))).toBe(0);
  });
});

describe('hires fix', () => {
  test.each(['latent', 'lanczos'] as const)(
    'by %s ends at its size and at other contents than the first picture',
    async (upscaler) => {
      const stages: string[] = [];
      const hires = { scale: 1.3, steps: 4, strength: 0.5, upscaler };
      const image = only(
        await generator.draw({ ...request, hires }, { onStep: ({ stage }) => void stages.push(stage) }),
      );
      // 64 * 1.3 = 83.2, in steps of 8.
      expect([image.width, image.height]).toEqual([80, 80]);
      expect(stages).toEqual(['first', 'first', 'hires', 'hires']);
      const pair = await generator.draw({ ...request, seed: 41, hires, batchSize: 2 });
      expect(difference(pair[1]!.image, image)).toBeLessThanOrEqual(1);
    },
  );

  test('what makes no sense is refused by name', async () => {
    const hires = { scale: 1, steps: 0, strength: 0.5, upscaler: 'latent' } as const;
    await expect(generator.draw({ ...request, hires })).rejects.toThrow('hires scale is 1, but it must be above 1');
    const init = { image: halves(64, 64, [0, 0, 0], [9, 9, 9]), strength: 1.5 };
    await expect(generator.draw({ ...request, init })).rejects.toThrow(
      'strength is 1.5, but it must lie between 0 and 1',
    );
    await expect(generator.draw({ ...request, batchSize: 0 })).rejects.toThrow('batchSize is 0');
  });
});

describe('VAE tiling', () => {
  test('gives about the picture of the whole: each tile has statistics of its own, so not to the bit', async () => {
    const demo = await openDiffusionModel(await folderTree('public/models/demo'));
    const vae = await demo.loadVae({ encoder: true, decoder: true });
    const side = 96;
    const data = Uint8Array.from({ length: side * side * 3 }, (_, i) => {
      const [x, y] = [Math.floor(i / 3) % side, Math.floor(i / 3 / side)];
      return (x - 48) ** 2 + (y - 40) ** 2 < 900 ? [230, 180, 40][i % 3]! : 255 - y;
    });
    const picture = { width: side, height: side, data };
    const pixels = toModelRange(picture);
    const whole = await vae.encode(pixels, [1, side, side]);
    const tiled = await vae.encode(pixels, [1, side, side], { tiled: true });
    expect(tiled.shape).toEqual(whole.shape);
    const scale = Math.max(...whole.mean.map(Math.abs));
    const off = Math.sqrt(
      whole.mean.reduce((sum, value, i) => sum + (value - tiled.mean[i]!) ** 2, 0) / whole.mean.length,
    );
    expect(off / scale).toBeGreaterThan(0);
    expect(off / scale).toBeLessThan(0.05);
    const latents = whole.mean.map((value) => value * demo.vaeConfig.scalingFactor);
    const [, h, w] = whole.shape;
    const one = await decodeLatents(vae, latents, [h, w]);
    const pieces = await decodeLatents(vae, latents, [h, w], { tiled: true });
    const error = Math.sqrt(
      one.data.reduce((sum, value, i) => sum + (value - pieces.data[i]!) ** 2, 0) / one.data.length,
    );
    expect(error).toBeGreaterThan(0);
    expect(error).toBeLessThan(8);
    vae.dispose();
  });
});

describe('LoRAs', () => {
  /** An adapter of noise on every attention projection of both models. */
  function adapterOf(seed: number, kinds: RegExp): Adapter {
    const modules = new Map<string, LoraModule>();
    for (const { module, target, kernelSize, inFeatures, outFeatures } of adaptableModules(model)) {
      if (kernelSize !== 1 || !kinds.test(module)) continue;
      const rng = new TorchGenerator(seed + module.length);
      const rank = 2;
      const down = rng.randn(rank * inFeatures);
      const up = rng.randn(outFeatures * rank).map((value) => value * 0.2);
      modules.set(module, { module, target, down, up, rank, alpha: 2, inFeatures, outFeatures });
    }
    expect(modules.size).toBeGreaterThan(0);
    return { name: `noise ${seed}`, modules };
  }

  test('several at once, each part at its own weight; at 0 the picture is the base to the bit', async () => {
    const [a, b] = [adapterOf(1, /attn\d\.to_[qkv]|self_attn/), adapterOf(2, /to_out|mlp/)];
    const base = only(await generator.draw(request));
    const draw = async (...weights: readonly [number, number?][]): Promise<RgbImage> =>
      only(
        await generator.draw({
          ...request,
          loras: [a, b].map((adapter, i) => {
            const [weight, textEncoderWeight = weight] = weights[i]!;
            return { adapter, weight, textEncoderWeight };
          }),
        }),
      );
    expect((await draw([0], [0])).data).toEqual(base.data);
    const both = await draw([1], [1]);
    const first = await draw([1], [0]);
    const second = await draw([0], [1]);
    for (const other of [base, first, second]) expect(difference(both, other)).toBeGreaterThan(1);
    // The text encoder's part alone, then the UNet's alone.
    const text = await draw([0, 1], [0]);
    const unet = await draw([1, 0], [0]);
    expect(difference(text, base)).toBeGreaterThan(1);
    expect(difference(unet, base)).toBeGreaterThan(1);
    expect(difference(text, unet)).toBeGreaterThan(1);
    expect((await draw([0], [0])).data).toEqual(base.data);
  });

  test('sliding uploads nothing but the weights of the sliders', async () => {
    const a = adapterOf(1, /attn\d\.to_[qkv]/);
    const { counters } = runtime();
    const draw = async (weight: number): Promise<number> => {
      const before = counters.uploadedBytes;
      await generator.draw({ ...request, loras: [{ adapter: a, weight }] });
      return counters.uploadedBytes - before;
    };
    const modules = [...a.modules.values()];
    const scales = modules.reduce((sum, { rank }) => sum + rank * 4, 0);
    const weights = modules.reduce((sum, { down, up }) => sum + (down.length + up.length) * 4, 0);
    expect(weights).toBeGreaterThan(20 * scales);
    const plugged = await draw(1);
    const again = await draw(1);
    const slid = await draw(0.5);
    expect(plugged - again).toBeGreaterThanOrEqual(weights);
    expect(slid).toBe(again);
  });
});
