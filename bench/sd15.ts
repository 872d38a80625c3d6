/** Stable Diffusion 1.5 as shapes: its configuration and made-up weights, so that no download is needed. */
import demoUNet from '../public/models/demo/unet/config.json' with { type: 'json' };
import { float16ToFloat32 } from '../src/core/float16.ts';
import { defined } from '../src/core/invariant.ts';
import { ConfigReader } from '../src/models/config.ts';
import { parseUNetConfig, type UNetConfig } from '../src/models/unetConfig.ts';
import { parseVaeConfig, type VaeConfig } from '../src/models/vae.ts';
import type { WeightReader } from '../src/nn/weights.ts';
import { sd15Configs } from '../tools/fullsize/configs.ts';
import { drawable } from '../tools/fullsize/write.ts';
import { modelSizes } from './kernels/inputs.ts';

export const sd15Config: UNetConfig = parseUNetConfig(new ConfigReader('SD1.5', sd15Configs['unet/config.json']));

/** The demo model's, which is of the same kind. */
export const demoConfig: UNetConfig = parseUNetConfig(new ConfigReader('the demo model', demoUNet));

export const sd15VaeConfig: VaeConfig = parseVaeConfig(new ConfigReader('SD1.5', sd15Configs['vae/config.json']));

/** Reads zeros of the given shapes; one tensor at a time is in memory. */
export function zeroWeights(shapes: ReadonlyMap<string, readonly number[]>): WeightReader {
  const size = (name: string): number => defined(shapes.get(name), name).reduce((a, b) => a * b, 1);
  return {
    has: (name) => shapes.has(name),
    info: (name) => ({ shape: defined(shapes.get(name), name), dtype: 'F16' }),
    readFloat16: async (name) => new Uint16Array(size(name)),
    readFloat32: async (name) => new Float32Array(size(name)),
    readBytes: async (_name, { start, end }) => new Uint8Array(end - start),
  };
}

/** The UNet's configuration with everything times `scale`, as {@link modelSizes} has it. */
export function scaledUNet(scale: number): UNetConfig {
  const { heads, groups, contextWidth } = modelSizes(scale);
  return {
    ...sd15Config,
    blockOutChannels: sd15Config.blockOutChannels.map((width) => width * scale),
    heads: sd15Config.heads.map(() => heads),
    normGroups: groups,
    crossAttentionDim: contextWidth,
  };
}

/** The VAE's, likewise. */
export function scaledVae(scale: number): VaeConfig {
  return {
    ...sd15VaeConfig,
    blockOutChannels: sd15VaeConfig.blockOutChannels.map((width) => width * scale),
    normGroups: modelSizes(scale).groups,
  };
}

/** Halves after which noise repeats; no multiple of any row's length. */
const noisePeriod = 2 ** 18 - 5;

/**
 * Reads noise of the given shapes, of the size that keeps activations in bounds: a GPU is faster with zeros than with real numbers.
 * Copies of one short pattern, as drawing 860 million numbers would take longer than what is measured.
 */
export function noiseWeights(shapes: ReadonlyMap<string, readonly number[]>): WeightReader {
  const patterns = new Map<string, Uint16Array<ArrayBuffer>>();
  const read = (name: string): Uint16Array<ArrayBuffer> => {
    const shape = defined(shapes.get(name), name);
    const values = drawable(name, shape);
    const key = `${values[0]},${values.length}`;
    let pattern = patterns.get(key);
    if (!pattern) {
      let state = 0x9e3779b9;
      pattern = new Uint16Array(noisePeriod).map(() => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        return values[(state >>> 12) % values.length]!;
      });
      patterns.set(key, pattern);
    }
    const halves = new Uint16Array(shape.reduce((a, b) => a * b, 1));
    for (let at = 0; at < halves.length; at += noisePeriod) {
      halves.set(pattern.subarray(0, Math.min(noisePeriod, halves.length - at)), at);
    }
    return halves;
  };
  return {
    has: (name) => shapes.has(name),
    info: (name) => ({ shape: defined(shapes.get(name), name), dtype: 'F16' }),
    readFloat16: async (name) => read(name),
    readFloat32: async (name) => float16ToFloat32(read(name)),
    readBytes: async (name, { start, end }) => new Uint8Array(read(name).buffer.slice(start, end)),
  };
}
