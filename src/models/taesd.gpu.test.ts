// Plan: a TAESD of noise against plain loops, both halves; both layouts of its files give the same bits; where a tree has one.
import { expect, test } from 'vitest';
import { bytesSource, type FileTree } from '../core/files.ts';
import { float16ToFloat32, float32ToFloat16 } from '../core/float16.ts';
import { encodeSafetensors, type TensorToWrite } from '../formats/safetensors.ts';
import { expectClose, noise, useTestRuntime } from '../gpu/testing.ts';
import { findTaesd, TinyAutoencoder } from './taesd.ts';

useTestRuntime();

const width = 8;
const encoderBlocks = [1, 3, 4, 5, 7, 8, 9, 11, 12, 13];
const decoderBlocks = [2, 3, 4, 7, 8, 9, 12, 13, 14, 17];

interface Conv {
  readonly weight: Float32Array;
  readonly bias: Float32Array | null;
  readonly inputs: number;
  readonly outputs: number;
}

/** Convolutions by their names in diffusers' layout, of numbers that halves hold exactly. */
function convs(): Map<string, Conv> {
  const made = new Map<string, Conv>();
  const exact = (values: Float32Array): Float32Array => float16ToFloat32(float32ToFloat16(values));
  const add = (name: string, inputs: number, outputs: number, hasBias = true): void => {
    const seed = made.size;
    const weight = exact(noise(outputs * inputs * 9, seed).map((value) => value / Math.sqrt(inputs * 9)));
    made.set(name, { weight, bias: hasBias ? noise(outputs, 1000 + seed) : null, inputs, outputs });
  };
  const block = (name: string): void => [0, 2, 4].forEach((i) => add(`${name}.conv.${i}`, width, width));
  add('encoder.layers.0', 3, width);
  for (const i of [2, 6, 10]) add(`encoder.layers.${i}`, width, width, false);
  for (const i of encoderBlocks) block(`encoder.layers.${i}`);
  add('encoder.layers.14', width, 4);
  add('decoder.layers.0', 4, width);
  for (const i of [6, 11, 16]) add(`decoder.layers.${i}`, width, width, false);
  for (const i of decoderBlocks) block(`decoder.layers.${i}`);
  add('decoder.layers.18', width, 3);
  return made;
}

function treeOf(files: Readonly<Record<string, Uint8Array<ArrayBuffer>>>): FileTree {
  return {
    name: 'taesd',
    list: () => Object.keys(files).sort(),
    has: (path) => path in files,
    open: async (path) => bytesSource(path, files[path]!),
  };
}

function fileOf(all: ReadonlyMap<string, Conv>, nameOf: (name: string) => string | null): Uint8Array<ArrayBuffer> {
  const tensors: TensorToWrite[] = [];
  for (const [name, { weight, bias, inputs, outputs }] of all) {
    const target = nameOf(name);
    if (target === null) continue;
    tensors.push({ name: `${target}.weight`, dtype: 'F32', shape: [outputs, inputs, 3, 3], data: weight });
    if (bias) tensors.push({ name: `${target}.bias`, dtype: 'F32', shape: [outputs], data: bias });
  }
  return encodeSafetensors(tensors);
}

interface Image {
  readonly h: number;
  readonly w: number;
  /** [h, w, c] */
  readonly values: Float32Array;
}

function conv({ h, w, values }: Image, { weight, bias, inputs, outputs }: Conv, stride = 1): Image {
  const out = { h: Math.ceil(h / stride), w: Math.ceil(w / stride) };
  const result = new Float32Array(out.h * out.w * outputs);
  for (let y = 0; y < out.h; y++) {
    for (let x = 0; x < out.w; x++) {
      for (let o = 0; o < outputs; o++) {
        let sum = bias?.[o] ?? 0;
        for (let ky = 0; ky < 3; ky++) {
          for (let kx = 0; kx < 3; kx++) {
            const [sy, sx] = [y * stride + ky - 1, x * stride + kx - 1];
            if (sy < 0 || sx < 0 || sy >= h || sx >= w) continue;
            for (let i = 0; i < inputs; i++)
              sum += values[(sy * w + sx) * inputs + i]! * weight[((o * inputs + i) * 3 + ky) * 3 + kx]!;
          }
        }
        result[(y * out.w + x) * outputs + o] = sum;
      }
    }
  }
  return { ...out, values: result };
}

const relu = (image: Image): Image => ({ ...image, values: image.values.map((value) => Math.max(0, value)) });
const plus = (a: Image, b: Image): Image => ({ ...a, values: a.values.map((value, i) => value + b.values[i]!) });
const double = ({ h, w, values }: Image): Image => {
  const c = values.length / (h * w);
  const out = new Float32Array(values.length * 4);
  for (let y = 0; y < 2 * h; y++)
    for (let x = 0; x < 2 * w; x++)
      for (let k = 0; k < c; k++) out[(y * 2 * w + x) * c + k] = values[((y >> 1) * w + (x >> 1)) * c + k]!;
  return { h: 2 * h, w: 2 * w, values: out };
};

const all = convs();
const at = (name: string): Conv => all.get(name)!;
const block = (image: Image, name: string): Image => {
  const inner = relu(conv(relu(conv(image, at(`${name}.conv.0`))), at(`${name}.conv.2`)));
  return relu(plus(conv(inner, at(`${name}.conv.4`)), image));
};
const walk = (image: Image, half: string, layers: readonly number[]): Image =>
  layers.reduce((so, i) => block(so, `${half}.layers.${i}`), image);

function referenceDecode(latents: Image): Float32Array {
  const clamped = { ...latents, values: latents.values.map((value) => 3 * Math.tanh(value / 3)) };
  let x = relu(conv(clamped, at('decoder.layers.0')));
  for (const [layers, after] of [
    [[2, 3, 4], 6],
    [[7, 8, 9], 11],
    [[12, 13, 14], 16],
  ] as const) {
    x = conv(double(walk(x, 'decoder', layers)), at(`decoder.layers.${after}`));
  }
  return conv(walk(x, 'decoder', [17]), at('decoder.layers.18')).values.map((value) => value * 2 - 1);
}

function referenceEncode(picture: Image): Float32Array {
  let x = conv({ ...picture, values: picture.values.map((value) => (value + 1) / 2) }, at('encoder.layers.0'));
  x = walk(x, 'encoder', [1]);
  for (const [down, layers] of [
    [2, [3, 4, 5]],
    [6, [7, 8, 9]],
    [10, [11, 12, 13]],
  ] as const) {
    x = walk(conv(x, at(`encoder.layers.${down}`), 2), 'encoder', layers);
  }
  return conv(x, at('encoder.layers.14')).values;
}

const diffusers = treeOf({
  'taesd/config.json': new TextEncoder().encode('{"_class_name": "AutoencoderTiny", "act_fn": "relu"}'),
  'taesd/diffusion_pytorch_model.safetensors': fileOf(all, (name) => name),
});
const numbered = (half: string, offset: number) => (name: string) => {
  const [, layer, rest] = new RegExp(`^${half}\\.layers\\.(\\d+)(.*)$`).exec(name) ?? [];
  return layer === undefined ? null : `${Number(layer) + offset}${rest}`;
};
const original = treeOf({
  'taesd_encoder.safetensors': fileOf(all, numbered('encoder', 0)),
  'taesd_decoder.safetensors': fileOf(all, numbered('decoder', 1)),
});

test('a tree has it in a folder or in its root, or not', () => {
  expect([findTaesd(diffusers), findTaesd(original), findTaesd(treeOf({}))]).toEqual(['taesd', '', null]);
});

test('both halves give what plain loops give, from either layout', async () => {
  const parts = { encoder: true, decoder: true };
  const [one, other] = [
    await TinyAutoencoder.load(diffusers, 'taesd', parts),
    await TinyAutoencoder.load(original, '', parts),
  ];
  const [h, w] = [2, 3];
  const latents = noise(h * w * 4, 7).map((value) => value * 4);
  const image = await one.decode(latents, [1, h, w]);
  expectClose(image, referenceDecode({ h, w, values: latents }), 2e-4, 'image');
  expect(await other.decode(latents, [1, h, w])).toEqual(image);
  const picture = noise(16 * 24 * 3, 8);
  const encoded = await one.encode(picture, [1, 16, 24]);
  expectClose(encoded, referenceEncode({ h: 16, w: 24, values: picture }), 2e-4, 'latents');
  expect(await other.encode(picture, [1, 16, 24])).toEqual(encoded);
  one.dispose();
  other.dispose();
});
