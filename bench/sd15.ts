/** Stable Diffusion 1.5 as shapes: its configuration and zeros for weights, so that no download is needed. */
import { defined } from '../src/core/invariant.ts';
import { ConfigReader } from '../src/models/config.ts';
import { parseUNetConfig, type UNetConfig } from '../src/models/unetConfig.ts';
import { parseVaeConfig, type VaeConfig } from '../src/models/vae.ts';
import type { WeightReader } from '../src/nn/weights.ts';
import { sd15Configs } from '../tools/fullsize/configs.ts';

export const sd15Config: UNetConfig = parseUNetConfig(new ConfigReader('SD1.5', sd15Configs['unet/config.json']));

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
