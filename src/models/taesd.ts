/**
 * TAESD (Ollin Boer Bohan, github.com/madebyollin/taesd; diffusers' AutoencoderTiny): a VAE's encoder and decoder learnt over again by
 * a small network, good enough to look at what is being denoised. NHWC; latents as the UNet sees them, images in [-1, 1].
 *
 * All convolutions are 3x3. A block is relu(x + conv(relu(conv(relu(conv(x)))))). Two layouts of files are in use: diffusers'
 * (`encoder.layers.N`, `decoder.layers.N` in one file) and the author's (`taesd_encoder`, `taesd_decoder`; his decoder counts its
 * clamp, so its layers are one higher).
 */
import type { FileTree } from '../core/files.ts';
import { defined } from '../core/invariant.ts';
import { openModelWeights } from '../formats/modelWeights.ts';
import { openSafetensors } from '../formats/safetensors.ts';
import { readTensor, relu, scale, softClamp, tensor, tidy, upsampleNearest2x, type Tensor } from '../gpu/ops.ts';
import type { Conv2d } from '../nn/conv2d.ts';
import { LayerLoader, type WeightReader } from '../nn/weights.ts';
import { ConfigReader } from './config.ts';

/** Layers of one half, in order: `N` is the layer's number in diffusers' layout. */
type Layer =
  | { readonly kind: 'conv'; readonly conv: Conv2d; readonly stride: 1 | 2 }
  | { readonly kind: 'block'; readonly convs: readonly [Conv2d, Conv2d, Conv2d] }
  | { readonly kind: 'relu' }
  | { readonly kind: 'upsample' };

const ENCODER = 'conv block down block block block down block block block down block block block conv'.split(' ');
const DECODER =
  'conv relu block block block upsample conv block block block upsample conv block block block upsample conv block conv'.split(
    ' ',
  );

export type TaesdLayout = 'diffusers' | 'original';

/** What the latents are softly clamped to: 3 tanh(z / 3). */
const MAGNITUDE = 3;
/** Image pixels to a latent pixel, along each side. */
const FACTOR = 8;

interface Half {
  readonly reader: WeightReader;
  readonly nameOf: (layer: number) => string;
}

/** Where a tree holds a TAESD: '' for its root, or a folder of it; null if it has none. */
export function findTaesd(tree: FileTree): string | null {
  const inside = (folder: string, name: string): string => (folder === '' ? name : `${folder}/${name}`);
  return (
    ['taesd', ''].find(
      (folder) =>
        tree.has(inside(folder, 'taesd_decoder.safetensors')) ||
        (folder !== '' && tree.has(inside(folder, 'diffusion_pytorch_model.safetensors'))),
    ) ?? null
  );
}

export class TinyAutoencoder {
  /** Set by the oracle only: called with intermediate values under diffusers' module names. The tensor is only lent. */
  tap: ((name: string, value: Tensor) => void) | undefined;

  private constructor(
    private readonly encoder: readonly Layer[] | null,
    private readonly decoder: readonly Layer[] | null,
    private readonly tensors: readonly Tensor[],
  ) {}

  /**
   * Loads the halves that are wanted from a folder: in the layout that is named, or else in the one it has.
   *
   * @throws {ModelConfigError | UnsupportedModelError} for a config of another kind of autoencoder.
   */
  static async load(
    tree: FileTree,
    folder: string,
    parts: { readonly encoder: boolean; readonly decoder: boolean; readonly layout?: TaesdLayout },
  ): Promise<TinyAutoencoder> {
    const tensors: Tensor[] = [];
    const load = async (name: 'encoder' | 'decoder', kinds: readonly string[]): Promise<Layer[]> => {
      const { reader, nameOf } = await openHalf(tree, folder, name, parts.layout);
      const loader = new LayerLoader(reader);
      const layers: Layer[] = [];
      for (const [i, kind] of kinds.entries()) layers.push(await loadLayer(loader, kind, nameOf(i)));
      tensors.push(...loader.takeTensors());
      return layers;
    };
    const encoder = parts.encoder ? await load('encoder', ENCODER) : null;
    const decoder = parts.decoder ? await load('decoder', DECODER) : null;
    return new TinyAutoencoder(encoder, decoder, tensors);
  }

  dispose(): void {
    for (const t of this.tensors) t.dispose();
  }

  /** Latents [n, h, w, 4] as the UNet sees them to images [n, 8h, 8w, 3], about [-1, 1]. */
  async decode(latents: Float32Array, [n, h, w]: readonly [number, number, number]): Promise<Float32Array> {
    const layers = defined(this.decoder, 'the TAESD decoder');
    return this.run(latents, [n, h, w, latents.length / (n * h * w)], (z) => {
      const clamped = softClamp(z, MAGNITUDE);
      this.tap?.('clamped', clamped);
      return scale(this.walk(layers, clamped, 'decoder'), 2);
    }).then((doubled) => doubled.map((value) => value - 1));
  }

  /** Images [n, H, W, 3] in [-1, 1] to latents [n, H / 8, W / 8, 4] as the UNet sees them; sides are multiples of 8. */
  async encode(images: Float32Array, [n, height, width]: readonly [number, number, number]): Promise<Float32Array> {
    const layers = defined(this.encoder, 'the TAESD encoder');
    const unit = images.map((value) => (value + 1) / 2);
    return this.run(unit, [n, height, width, images.length / (n * height * width)], (x) =>
      this.walk(layers, x, 'encoder'),
    );
  }

  get factor(): number {
    return FACTOR;
  }

  private async run(
    values: Float32Array,
    shape: readonly [number, number, number, number],
    f: (x: Tensor) => Tensor,
  ): Promise<Float32Array> {
    const x = tensor(values, shape);
    const y = tidy(() => f(x));
    x.dispose();
    const result = await readTensor(y);
    y.dispose();
    return result;
  }

  private walk(layers: readonly Layer[], input: Tensor, name: string): Tensor {
    let x = input;
    for (const [i, layer] of layers.entries()) {
      x = runLayer(layer, x);
      this.tap?.(`${name}.layers.${i}`, x);
    }
    return x;
  }
}

function runLayer(layer: Layer, x: Tensor): Tensor {
  switch (layer.kind) {
    case 'conv':
      return layer.conv.forward(x, { stride: layer.stride });
    case 'block': {
      const [first, second, third] = layer.convs;
      return relu(third.forward(relu(second.forward(relu(first.forward(x)))), { residual: x }));
    }
    case 'relu':
      return relu(x);
    case 'upsample':
      return upsampleNearest2x(x);
  }
}

async function loadLayer(loader: LayerLoader, kind: string, name: string): Promise<Layer> {
  switch (kind) {
    case 'relu':
    case 'upsample':
      return { kind };
    case 'block':
      return {
        kind: 'block',
        convs: [
          await loader.conv2d(`${name}.conv.0`),
          await loader.conv2d(`${name}.conv.2`),
          await loader.conv2d(`${name}.conv.4`),
        ],
      };
    default:
      return { kind: 'conv', conv: await loader.conv2d(name), stride: kind === 'down' ? 2 : 1 };
  }
}

async function openHalf(
  tree: FileTree,
  folder: string,
  name: 'encoder' | 'decoder',
  layout?: TaesdLayout,
): Promise<Half> {
  const inside = (file: string): string => (folder === '' ? file : `${folder}/${file}`);
  const original = inside(`taesd_${name}.safetensors`);
  if (layout === 'diffusers' || (layout === undefined && !tree.has(original))) {
    const config = await ConfigReader.open(tree, inside('config.json'));
    config.require('_class_name', ['AutoencoderTiny']);
    config.require('act_fn', ['relu']);
    config.require('latent_channels', [4]);
    config.require('upsampling_scaling_factor', [2]);
    return { reader: await openModelWeights(tree, folder), nameOf: (layer) => `${name}.layers.${layer}` };
  }
  const offset = name === 'decoder' ? 1 : 0;
  return { reader: await openSafetensors(await tree.open(original)), nameOf: (layer) => String(layer + offset) };
}
