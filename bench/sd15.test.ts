/** The plan: the shapes that we derive are those of a real file (the tiny model) and add up to SD1.5's published size. */
import { expect, test } from 'vitest';
import { ConfigReader } from '../src/models/config.ts';
import { parseUNetConfig } from '../src/models/unet.ts';
import { fixtureJson, fixtureSafetensors } from '../tools/testing.ts';
import { sd15Config, unetShapes } from './sd15.ts';

test('the shapes of the tiny model are those in its file', async () => {
  const fields = fixtureJson('sd15-tiny/model/unet/config.json') as Record<string, unknown>;
  const file = await fixtureSafetensors('sd15-tiny/model/unet/diffusion_pytorch_model.fp16.safetensors');
  const expected = Object.fromEntries(file.names().map((name) => [name, file.info(name).shape]));
  expect(Object.fromEntries(unetShapes(parseUNetConfig(new ConfigReader('tiny', fields))))).toEqual(expected);
});

test("the full-size configuration has SD1.5's 859,520,964 weights in 686 tensors", () => {
  const shapes = [...unetShapes(sd15Config).values()];
  expect(shapes).toHaveLength(686);
  expect(shapes.reduce((sum, shape) => sum + shape.reduce((a, b) => a * b, 1), 0)).toBe(859_520_964);
});
