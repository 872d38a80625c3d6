// Plan: hand-made layers of every kind. A begins as PEFT begins it, within its bound or with its deviation, from seed and module alone, whatever else
// is trained; B is zero; DoRA's magnitudes are the norms of the weights; ranks of convolutions are their own; weights go through the GPU's
// order and back; groups are cut where the rate changes; dropout is on only while it is asked for; branches come and go without a trace.
import { describe, expect, test } from 'vitest';
import { float16ToFloat32, float32ToFloat16 } from '../core/float16.ts';
import { defaultTrainOptions } from '../core/trainOptions.ts';
import type { LoraModule } from '../formats/lora/types.ts';
import { packConvWeights } from '../gpu/kernels/conv2d.ts';
import { frozenTensor, tensorCount } from '../gpu/ops.ts';
import { expectClose, noise, packedWeights, useTestRuntime } from '../gpu/testing.ts';
import { Conv2d } from '../nn/conv2d.ts';
import { Linear } from '../nn/linear.ts';
import { layersToTrain, TrainableAdapter, type LayerToTrain } from './trainable.ts';

useTestRuntime();

const attention = 'up_blocks.0.attentions.0.transformer_blocks.0.attn1';
const resnet = 'down_blocks.1.resnets.0';
const text = 'text_model.encoder.layers.0.self_attn.out_proj';
const kernels = float16ToFloat32(float32ToFloat16(noise(12 * 8 * 9, 1)));

function makeLayers(): { unet: (Linear | Conv2d)[]; textEncoder: Linear[] } {
  const linear = (modules: string[], inFeatures: number, outFeatures: number, isConvolution = false): Linear => {
    const weight = packedWeights(noise(inFeatures * outFeatures, 2));
    return new Linear({ weight, bias: null, inFeatures, outFeatures }, modules, isConvolution);
  };
  const weight = frozenTensor(packConvWeights(float32ToFloat16(kernels), [12, 8, 3, 3]));
  return {
    unet: [
      new Conv2d({ weight, bias: null, kernelSize: 3, inChannels: 8, outChannels: 12 }, `${resnet}.conv1`),
      linear([`${resnet}.conv_shortcut`], 8, 12, true),
      linear([`${attention}.to_q`, `${attention}.to_k`, `${attention}.to_v`], 64, 48),
    ],
    textEncoder: [linear([text], 16, 16)],
  };
}

const options = {
  ...defaultTrainOptions,
  rank: 16,
  alpha: 8,
  convRank: 4,
  convAlpha: 1,
  seed: 3,
  targets: { attention: true, feedForward: true, projections: true, convolutions: true },
  textEncoder: { train: true, learningRate: 1e-5 },
  blockLearningRates: { 'down_blocks.1': 0.5 },
};

function allLayers(): LayerToTrain[] {
  return layersToTrain(makeLayers(), options);
}

async function created(layers: readonly LayerToTrain[], changes: object = {}): Promise<Map<string, LoraModule>> {
  const adapter = TrainableAdapter.create(layers, { ...options, ...changes });
  const modules = await adapter.toModules();
  adapter.dispose();
  return new Map(modules.map((module) => [module.module, module]));
}

function deviation(values: Float32Array): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0) / values.length);
}

describe('how an adapter begins', () => {
  test("PEFT's uniform: bounds by all inputs of an output, B zero, sizes as files have them", async () => {
    const modules = await created(allLayers());
    expect([...modules.keys()]).toHaveLength(6);
    const bounds: [string, number][] = [
      [`${resnet}.conv1`, 1 / Math.sqrt(8 * 9)],
      [`${attention}.to_k`, 1 / 8],
      [text, 1 / 4],
    ];
    for (const [name, bound] of bounds) {
      const { down, up } = modules.get(name)!;
      const largest = down.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      expect(largest).toBeLessThanOrEqual(bound);
      expect(largest).toBeGreaterThan(0.95 * bound);
      expect(deviation(down) / bound).toBeGreaterThan(0.5);
      expect(deviation(down) / bound).toBeLessThan(0.65);
      expect(up.every((value) => value === 0)).toBe(true);
    }
    expect(modules.get(`${resnet}.conv1`)).toMatchObject({ rank: 4, alpha: 1, kernel: [3, 3], target: 'unet' });
    expect(modules.get(`${resnet}.conv_shortcut`)).toMatchObject({ rank: 16, alpha: 8, kernel: [1, 1] });
    expect(modules.get(text)).toMatchObject({ rank: 16, target: 'textEncoder' });
    expect(modules.get(text)).not.toHaveProperty('kernel');
  });

  test("PEFT's gaussian: deviation 1 / rank", async () => {
    const { down } = (await created(allLayers(), { init: 'gaussian' })).get(`${attention}.to_q`)!;
    expect(deviation(down) * 16).toBeGreaterThan(0.9);
    expect(deviation(down) * 16).toBeLessThan(1.1);
  });

  test('seed and module alone decide', async () => {
    const all = await created(allLayers());
    const one = await created(allLayers().slice(2, 3));
    for (const [name, module] of one) expect(module).toEqual(all.get(name));
    expect(one.get(`${attention}.to_q`)!.down).not.toEqual(one.get(`${attention}.to_k`)!.down);
    const other = await created(allLayers(), { seed: 4 });
    expect(other.get(text)!.down).not.toEqual(all.get(text)!.down);
  });

  test("DoRA's magnitudes are the norms of the weights' rows", async () => {
    const { magnitude } = (await created(allLayers(), { adapterKind: 'dora' })).get(`${resnet}.conv1`)!;
    const norms = Array.from({ length: 12 }, (_, o) => Math.hypot(...kernels.subarray(o * 72, (o + 1) * 72)));
    expectClose(magnitude!, norms, 1e-5, 'magnitudes');
  });
});

test('weights go to the GPU and come back as they were, with magnitudes and without; nothing is left', async () => {
  const layers = allLayers();
  const tensors = tensorCount();
  for (const adapterKind of ['lora', 'dora'] as const) {
    const modules = new Map(
      Array.from(await created(layers, { adapterKind }), ([name, module], i) => [
        name,
        { ...module, up: noise(module.up.length, i) },
      ]),
    );
    const adapter = TrainableAdapter.fromModules(layers, modules);
    expect(adapter.parameters()).toHaveLength(layers.length * (adapterKind === 'dora' ? 3 : 2));
    expect(await adapter.toModules()).toEqual([...modules.values()]);
    const putBack = adapter.detach();
    expect(layers.every(({ layer }) => layer.lora === null && layer.magnitude === null)).toBe(true);
    putBack();
    expect(await adapter.toModules()).toEqual([...modules.values()]);
    adapter.dispose();
  }
  expect(tensorCount()).toBe(tensors);
});

test('groups are cut where the learning rate changes', () => {
  const adapter = TrainableAdapter.create(allLayers(), options);
  const groups = adapter.parameterGroups();
  expect(groups.map(({ multiplier }) => multiplier)).toEqual([0.5, 1, expect.closeTo(0.1, 12)]);
  expect(groups.flatMap(({ parameters }) => parameters)).toEqual(adapter.parameters());
  expect(groups.map(({ parameters }) => parameters.length)).toEqual([4, 2, 2]);
  adapter.dispose();
});

test('dropout is on while it is asked for, and off again, also after an error', () => {
  const layers = allLayers();
  const adapter = TrainableAdapter.create(layers, options);
  const chances = { network: 0.1, rank: 0, module: 0 };
  const salts = adapter.withDropout(chances, 7, () => layers.map(({ layer }) => layer.lora?.dropout?.salt));
  expect(new Set(salts).size).toBe(layers.length);
  expect(salts).not.toContain(undefined);
  expect(layers.every(({ layer }) => !layer.lora?.dropout)).toBe(true);
  expect(() =>
    adapter.withDropout(chances, 8, () => {
      throw new Error('lost');
    }),
  ).toThrow('lost');
  expect(layers.every(({ layer }) => !layer.lora?.dropout)).toBe(true);
  const none = adapter.withDropout({ network: 0, rank: 0, module: 0 }, 9, () => layers[0]!.layer.lora?.dropout);
  expect(none).toBeFalsy();
  adapter.dispose();
});
