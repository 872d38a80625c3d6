// Plan: the tiny model with a LoRA on UNet and text encoder: adapted tensors are base plus weight times change, everything else is as
// it was, in both precisions; the folder opens as a model again; weight 0 gives the model itself; the single file has every tensor under
// its other name.
import { readdirSync, readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { expectClose, fixtureSafetensors } from '../../tools/testing.ts';
import { bytesSource, type FileTree } from '../core/files.ts';
import { defined } from '../core/invariant.ts';
import { asWeightChange, denseChange } from '../formats/lora/products.ts';
import { readLora } from '../formats/lora/readLora.ts';
import { openModelWeights } from '../formats/modelWeights.ts';
import { openSafetensors } from '../formats/safetensors.ts';
import { sd15Modules } from '../models/adaptable.ts';
import { openDiffusionModel } from '../models/repository.ts';
import { bakeFolder, bakeSingleFile, type BakedFile, type BakeRequest } from './bake.ts';
import type { Lora } from './combine.ts';

const root = new URL('../../fixtures/sd15-tiny/model/', import.meta.url);

/** Files in memory as a model's folder. */
function treeOf(files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>): FileTree {
  return {
    name: 'baked',
    list: () => [...files.keys()].sort(),
    has: (path) => files.has(path),
    open: async (path) => bytesSource(path, defined(files.get(path), path)),
  };
}

async function bytesOf(file: BakedFile): Promise<Uint8Array<ArrayBuffer>> {
  const pieces: Uint8Array[] = [];
  for await (const piece of file.pieces()) pieces.push(piece);
  return new Uint8Array(Buffer.concat(pieces));
}

let tree: FileTree;
let lora: Lora;

beforeAll(async () => {
  const paths = (readdirSync(root, { recursive: true }) as string[]).filter((path) => /\.\w+$/.test(path));
  tree = treeOf(new Map(paths.map((path) => [path, new Uint8Array(readFileSync(new URL(path, root)))])));
  const names = sd15Modules().map(({ module, target, kernelSize }) => ({ module, target, kernelSize }));
  const read = async (name: string): Promise<Lora> =>
    readLora(await fixtureSafetensors(`sd15-tiny/lora/kohya/${name}.safetensors`), names);
  const [both, locon] = [await read('unet_te'), await read('locon')];
  lora = {
    modules: [...both.modules.filter(({ target }) => target === 'textEncoder'), ...locon.modules],
    changes: [
      {
        module: 'conv_in',
        target: 'unet',
        inFeatures: 4,
        outFeatures: 32,
        kernel: [3, 3],
        delta: null,
        scale: 1,
        bias: new Float32Array(32).fill(0.5),
      },
    ],
  };
});

async function baked(weight: number, dtype: 'F16' | 'F32'): Promise<FileTree> {
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  const done: number[] = [];
  const request: BakeRequest = { tree, loras: [{ lora, weight }], dtype, onProgress: (n) => void done.push(n) };
  for (const file of await bakeFolder(request)) files.set(file.path, await bytesOf(file));
  expect(done).toEqual(Array.from(done, (_, i) => i + 1));
  return treeOf(files);
}

describe('a folder', () => {
  test('is the model plus weight times change', async () => {
    const result = await baked(0.5, 'F32');
    expect((await openDiffusionModel(result)).unetConfig.blockOutChannels).toEqual([32, 32, 64, 64]);
    const changes = new Map(lora.modules.map((module) => [`${module.module}.weight`, asWeightChange(module)]));
    let changed = 0;
    for (const component of ['unet', 'text_encoder', 'vae']) {
      const [before, after] = [await openModelWeights(tree, component), await openModelWeights(result, component)];
      expect([...after.names()].sort()).toEqual([...before.names()].sort());
      for (const name of before.names()) {
        if (before.info(name).dtype === 'I64') continue;
        const [base, values] = [await before.readFloat32(name), await after.readFloat32(name)];
        const change = changes.get(name);
        const added = change ? denseChange(change) : null;
        if (added) changed++;
        const shift = component === 'unet' && name === 'conv_in.bias' ? 0.25 : 0;
        expectClose(
          values,
          base.map((value, i) => value + 0.5 * (added?.[i] ?? 0) + shift),
          added ? 1e-6 : 1e-7,
          name,
        );
      }
    }
    expect(changed).toBe(lora.modules.length);
  });

  test('at weight 0, in halves: the same bytes of every tensor; configs and vocabulary go along', async () => {
    const result = await baked(0, 'F16');
    const weights = /\.safetensors$/;
    expect(result.list().filter((path) => !weights.test(path))).toEqual(
      tree.list().filter((path) => !weights.test(path)),
    );
    expect(result.list().filter((path) => weights.test(path))).toEqual([
      'text_encoder/model.safetensors',
      'unet/diffusion_pytorch_model.safetensors',
      'vae/diffusion_pytorch_model.safetensors',
    ]);
    for (const component of ['unet', 'text_encoder', 'vae']) {
      const [before, after] = [await openModelWeights(tree, component), await openModelWeights(result, component)];
      const changed: string[] = [];
      for (const name of before.names()) {
        const same = Buffer.from(await after.readBytes(name)).equals(await before.readBytes(name));
        if (!same) changed.push(name);
      }
      expect(changed).toEqual([]);
    }
  });
});

test('a single file has all tensors, the adapted ones changed', async () => {
  const shape = { layersPerBlock: 2, upAttention: [false, true, true, true], vaeLevels: 4 };
  const request: BakeRequest = { tree, loras: [{ lora, weight: 1 }], dtype: 'F32' };
  const file = await openSafetensors(bytesSource('single', await bytesOf(await bakeSingleFile(request, shape))));
  const counts = await Promise.all(
    ['unet', 'vae', 'text_encoder'].map(async (part) => (await openModelWeights(tree, part)).names().length),
  );
  expect(file.names()).toHaveLength(counts.reduce((a, b) => a + b));
  const module = defined(lora.modules.find((entry) => entry.module === 'mid_block.attentions.0.proj_in'));
  const base = await (await openModelWeights(tree, 'unet')).readFloat32(`${module.module}.weight`);
  const added = denseChange(asWeightChange(module));
  const values = await file.readFloat32('model.diffusion_model.middle_block.1.proj_in.weight');
  expectClose(
    values,
    base.map((value, i) => value + added[i]!),
    1e-6,
  );
  expect(file.info('first_stage_model.decoder.mid.attn_1.q.weight').shape).toEqual([64, 64, 1, 1]);
});
