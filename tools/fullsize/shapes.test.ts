/** The plan: the shapes that we derive are those of real files (the tiny model) and add up to SD1.5's published sizes. */
import { expect, test } from 'vitest';
import { parseClipTextConfig } from '../../src/models/clip.ts';
import { ConfigReader } from '../../src/models/config.ts';
import { parseUNetConfig } from '../../src/models/unetConfig.ts';
import { parseVaeConfig } from '../../src/models/vae.ts';
import { fixtureJson, fixtureSafetensors } from '../testing.ts';
import { sd15Configs } from './configs.ts';
import { clipShapes, unetShapes, vaeShapes, type Shapes } from './shapes.ts';

const parts: [string, (config: ConfigReader) => Shapes, string, number, number][] = [
  ['unet', (config) => unetShapes(parseUNetConfig(config)), 'diffusion_pytorch_model.fp16', 859_520_964, 686],
  ['vae', (config) => vaeShapes(parseVaeConfig(config)), 'diffusion_pytorch_model.fp16', 83_653_863, 248],
  ['text_encoder', (config) => clipShapes(parseClipTextConfig(config)), 'model.fp16', 123_060_480, 196],
];

test.each(parts)('%s: the shapes of the tiny model are those in its file', async (folder, shapes, name) => {
  const fields = fixtureJson(`sd15-tiny/model/${folder}/config.json`) as Record<string, unknown>;
  const file = await fixtureSafetensors(`sd15-tiny/model/${folder}/${name}.safetensors`);
  // Older files store what nobody needs, and call the VAE's attention by older names.
  const names = file.names().filter((key) => !key.endsWith('position_ids'));
  const expected = Object.fromEntries(names.map((key) => [modern(key), file.info(key).shape]));
  expect(Object.fromEntries(shapes(new ConfigReader('tiny', fields)))).toEqual(expected);
});

test.each(parts)("%s: SD1.5's number of weights and tensors", (folder, shapes, _name, weights, tensors) => {
  const fields = sd15Configs[`${folder}/config.json` as keyof typeof sd15Configs];
  const sizes = [...shapes(new ConfigReader('SD1.5', fields)).values()];
  expect(sizes).toHaveLength(tensors);
  expect(sizes.reduce((sum, shape) => sum + shape.reduce((a, b) => a * b, 1), 0)).toBe(weights);
});

function modern(key: string): string {
  const names: Record<string, string> = { query: 'to_q', key: 'to_k', value: 'to_v', proj_attn: 'to_out.0' };
  return key.replace(/\.(query|key|value|proj_attn)\./, (_, name: string) => `.${names[name]!}.`);
}
