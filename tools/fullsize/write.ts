/**
 * Writes a model with random weights as a diffusers folder, a megabyte at a time: of Stable Diffusion 1.5's size, so that the engine's
 * limits (memory, bindings, time) are the same as with the real weights and nothing has to be downloaded, or of any other.
 */
import { cp, mkdir, open, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { float32ToFloat16 } from '../../src/core/float16.ts';
import { planSafetensors } from '../../src/formats/safetensors.ts';
import { parseClipTextConfig } from '../../src/models/clip.ts';
import { ConfigReader } from '../../src/models/config.ts';
import { parseUNetConfig } from '../../src/models/unetConfig.ts';
import { parseVaeConfig } from '../../src/models/vae.ts';
import { sd15Configs } from './configs.ts';
import { clipShapes, unetShapes, vaeShapes, type Shapes } from './shapes.ts';

/** Halves written at a time. */
const chunk = 2 ** 19;
/** Distinct weights of a tensor: quantiles of a normal distribution. */
const levels = 4096;

/** The fields of a model's configuration files. */
export type ModelConfigs = Readonly<Record<keyof typeof sd15Configs, Readonly<Record<string, unknown>>>>;

interface RandomModelOptions {
  readonly configs?: ModelConfigs;
  /** Called after each tensor, of which SD1.5 has about 1,130. */
  readonly onTensor?: (done: number, total: number) => void;
}

/** Writes the folder, with the tokenizer of the folder `tokenizer`. The same configurations always give the same bytes. */
export async function writeRandomModel(
  folder: string,
  tokenizer: string,
  { configs = sd15Configs, onTensor = () => {} }: RandomModelOptions = {},
): Promise<void> {
  const config = (path: keyof ModelConfigs): ConfigReader => new ConfigReader(path, configs[path]);
  const parts: [string, Shapes][] = [
    ['unet/diffusion_pytorch_model.fp16.safetensors', unetShapes(parseUNetConfig(config('unet/config.json')))],
    ['vae/diffusion_pytorch_model.fp16.safetensors', vaeShapes(parseVaeConfig(config('vae/config.json')))],
    ['text_encoder/model.fp16.safetensors', clipShapes(parseClipTextConfig(config('text_encoder/config.json')))],
  ];
  for (const [path, fields] of Object.entries(configs)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), `${JSON.stringify(fields, null, 2)}\n`);
  }
  for (const file of ['merges.txt', 'special_tokens_map.json', 'tokenizer_config.json', 'vocab.json']) {
    await cp(join(tokenizer, file), join(folder, 'tokenizer', file));
  }
  const total = parts.reduce((sum, [, shapes]) => sum + shapes.size, 0);
  let done = 0;
  for (const [path, shapes] of parts) {
    await writeWeights(join(folder, path), shapes, () => onTensor(++done, total));
  }
}

async function writeWeights(path: string, shapes: Shapes, onTensor: () => void): Promise<void> {
  const tensors = Array.from(shapes, ([name, shape]) => ({ name, dtype: 'F16' as const, shape }));
  const { head, order } = planSafetensors(tensors, { format: 'pt' });
  const file = await open(path, 'w');
  try {
    await file.write(head);
    const random = xorshift(0x9e3779b9);
    for (const { name, shape } of order) {
      const size = shape.reduce((a, b) => a * b, 1);
      const values = drawable(name, shape);
      for (let start = 0; start < size; start += chunk) {
        const halves = new Uint16Array(Math.min(chunk, size - start));
        for (let i = 0; i < halves.length; i++) halves[i] = values[random() % values.length]!;
        await file.write(new Uint8Array(halves.buffer));
      }
      onTensor();
    }
  } finally {
    await file.close();
  }
}

/**
 * The values that a tensor's weights are drawn from. Norms are 1 and biases 0. Matrices keep the size of what goes through them;
 * what ends a residual branch is small, so that 25 blocks in a row do not grow beyond what halves hold.
 */
export function drawable(name: string, shape: readonly number[]): Uint16Array {
  if (shape.length === 1)
    return float32ToFloat16(Float32Array.of(/norm\d?\.weight$|norm_out\.weight$/.test(name) ? 1 : 0));
  const isTable = name.includes('embeddings.');
  const endsBranch = /conv2\.|to_out\.|proj_out\.|net\.2\.|out_proj\.|fc2\./.test(name);
  const fanIn = shape.slice(1).reduce((a, b) => a * b, 1);
  const deviation = isTable ? 0.02 : (endsBranch ? 0.2 : 1) / Math.sqrt(fanIn);
  return float32ToFloat16(
    Float32Array.from({ length: levels }, (_, i) => deviation * normalQuantile((i + 0.5) / levels)),
  );
}

/** The normal distribution's quantile, by the logistic approximation: it need not be exact. */
function normalQuantile(p: number): number {
  return Math.log(p / (1 - p)) / 1.702;
}

/** 32-bit numbers (Marsaglia 2003): fast, and the same in every run. */
function xorshift(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}
