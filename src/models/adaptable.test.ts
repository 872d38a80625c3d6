// Plan: the layers known from the configs are those of the tiny model's weight files, name for name and size for size, with all linear
// layers and convolutions and nothing else; SD1.5 has as many as its LoRA files say.
import { expect, test } from 'vitest';
import { fixtureJson, fixtureSafetensors } from '../../tools/testing.ts';
import type { KnownModule } from '../formats/lora/types.ts';
import { clipModules, sd15Modules, unetModules } from './adaptable.ts';
import { parseClipTextConfig } from './clip.ts';
import { ConfigReader } from './config.ts';
import { parseUNetConfig } from './unetConfig.ts';

function config(part: string): ConfigReader {
  return new ConfigReader(part, fixtureJson(`sd15-tiny/model/${part}/config.json`) as Record<string, unknown>);
}

/** The layers of a weight file: every matrix or kernel that is no table of embeddings. */
async function layersOf(path: string, target: KnownModule['target']): Promise<unknown[]> {
  const file = await fixtureSafetensors(`sd15-tiny/model/${path}`);
  return file
    .names()
    .filter((name) => name.endsWith('.weight') && file.info(name).shape.length > 1 && !name.includes('embeddings'))
    .map((name) => {
      const [outFeatures, inFeatures, kernelSize = 1] = file.info(name).shape;
      return { module: name.replace(/\.weight$/, ''), target, inFeatures, outFeatures, kernelSize };
    });
}

const byName = (a: { module: string }, b: { module: string }): number => a.module.localeCompare(b.module);

test("the UNet's layers are those of its file", async () => {
  const found = (await layersOf('unet/diffusion_pytorch_model.fp16.safetensors', 'unet')) as { module: string }[];
  expect(unetModules(parseUNetConfig(config('unet'))).sort(byName)).toEqual(found.sort(byName));
});

test("the text encoder's layers are those of its file", async () => {
  const found = (await layersOf('text_encoder/model.fp16.safetensors', 'textEncoder')) as { module: string }[];
  expect(clipModules(parseClipTextConfig(config('text_encoder'))).sort(byName)).toEqual(found.sort(byName));
});

test('SD1.5: 128 attention projections of the UNet, 72 layers of the text encoder, each path once', () => {
  const modules = sd15Modules();
  expect(new Set(modules.map(({ module }) => module)).size).toBe(modules.length);
  expect(modules.filter(({ module }) => /attn[12]\.to_/.test(module))).toHaveLength(128);
  expect(modules.filter(({ target }) => target === 'textEncoder')).toHaveLength(72);
  const conv = modules.find(({ module }) => module === 'up_blocks.3.resnets.0.conv1');
  expect(conv).toMatchObject({ inFeatures: 960, outFeatures: 320, kernelSize: 3 });
});
