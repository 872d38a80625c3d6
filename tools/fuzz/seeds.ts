/** Small files of every kind that is read, and how each is read to its end. */
import { bytesSource } from '../../src/core/files.ts';
import { readImageSize } from '../../src/formats/imageSize.ts';
import { readLora } from '../../src/formats/lora/readLora.ts';
import type { KnownModule } from '../../src/formats/lora/types.ts';
import { encodePng } from '../../src/formats/png.ts';
import { encodeUserComment, readUserComment } from '../../src/formats/exif.ts';
import { readPngTexts } from '../../src/formats/pngText.ts';
import { encodeSafetensors, openSafetensors, type TensorToWrite } from '../../src/formats/safetensors.ts';

export interface FuzzTarget {
  readonly name: string;
  readonly seeds: readonly Uint8Array[];
  readonly read: (bytes: Uint8Array<ArrayBuffer>) => Promise<void>;
}

const layers: readonly KnownModule[] = [
  { module: 'mid_block.attentions.0.proj_in', target: 'unet', inFeatures: 6, outFeatures: 8, kernelSize: 1 },
  { module: 'mid_block.resnets.0.conv1', target: 'unet', inFeatures: 6, outFeatures: 8, kernelSize: 3 },
];
const [linear, conv] = ['lora_unet_mid_block_attentions_0_proj_in', 'lora_unet_mid_block_resnets_0_conv1'];
const dotted = 'unet.mid_block.attentions.0.proj_in';

/** The tensors of each seed by their shapes. */
const adapters: readonly Readonly<Record<string, readonly number[]>>[] = [
  {
    [`${linear}.lora_down.weight`]: [2, 6],
    [`${linear}.lora_up.weight`]: [8, 2],
    [`${linear}.alpha`]: [],
    [`${linear}.dora_scale`]: [8, 1],
  },
  {
    [`${conv}.lora_down.weight`]: [2, 6, 1, 1],
    [`${conv}.lora_mid.weight`]: [2, 2, 3, 3],
    [`${conv}.lora_up.weight`]: [8, 2, 1, 1],
  },
  {
    [`${conv}.hada_w1_a`]: [2, 8],
    [`${conv}.hada_w1_b`]: [2, 6],
    [`${conv}.hada_t1`]: [2, 2, 3, 3],
    [`${conv}.hada_w2_a`]: [2, 8],
    [`${conv}.hada_w2_b`]: [2, 6],
    [`${conv}.hada_t2`]: [2, 2, 3, 3],
  },
  { [`${conv}.lokr_w1`]: [2, 3], [`${conv}.lokr_w2_a`]: [4, 2], [`${conv}.lokr_w2_b`]: [2, 18], [`${conv}.alpha`]: [] },
  { [`${linear}.diff`]: [8, 6], [`${linear}.diff_b`]: [8] },
  { [`${dotted}.lora.down.weight`]: [2, 6], [`${dotted}.lora.up.weight`]: [8, 2] },
];

function adapterSeed(shapes: Readonly<Record<string, readonly number[]>>, i: number): Uint8Array {
  const tensors = Object.entries(shapes).map(([name, shape]): TensorToWrite => {
    const size = shape.reduce((a, b) => a * b, 1);
    return i % 2 === 0
      ? { name, dtype: 'F32', shape, data: new Float32Array(size).fill(0.5) }
      : { name, dtype: 'F16', shape, data: new Uint16Array(size).fill(0x3800) };
  });
  return encodeSafetensors(tensors, { ss_network_dim: '2', lora_adapter_metadata: '{"unet.lora_alpha": 2}' });
}

async function readSafetensors(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
  const file = await openSafetensors(bytesSource('fuzzed.safetensors', bytes));
  for (const name of file.names()) {
    const isFloat = /^B?F/.test(file.info(name).dtype);
    await (isFloat ? file.readFloat32(name) : file.readInts(name));
    if (isFloat) await file.readFloat16(name);
  }
}

const picture = { width: 3, height: 2, data: new Uint8Array(18).fill(7) };

export const fuzzTargets: readonly FuzzTarget[] = [
  { name: 'safetensors', seeds: adapters.map(adapterSeed), read: readSafetensors },
  {
    name: 'LoRA',
    seeds: adapters.map(adapterSeed),
    read: async (bytes) =>
      void (await readLora(await openSafetensors(bytesSource('fuzzed.safetensors', bytes)), layers)),
  },
  {
    name: 'PNG',
    seeds: [encodePng(picture), encodePng(picture, { parameters: 'a cat\nSteps: 20, Seed: 1', comment: 'größer 猫' })],
    read: async (bytes) => {
      readImageSize(bytes);
      readPngTexts(bytes);
    },
  },
  {
    name: 'EXIF',
    seeds: [encodeUserComment('a cat\nSteps: 20, Seed: 1')],
    read: async (bytes) => void readUserComment(bytes),
  },
];
