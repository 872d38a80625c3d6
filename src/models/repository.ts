/**
 * A diffusers-layout repository as parts that can be loaded and freed one by one: encode prompts, free CLIP; encode images,
 * free the VAE; then the UNet. Nothing but configs and vocabularies is read when it is opened.
 */
import { readText, type FileTree } from '../core/files.ts';
import type { WeightFormat } from '../gpu/ops.ts';
import { openModelWeights } from '../formats/modelWeights.ts';
import { ClipTextEncoder, parseClipTextConfig, type ClipTextConfig } from './clip.ts';
import { ConfigReader, ModelConfigError, UnsupportedModelError } from './config.ts';
import { findTaesd, TinyAutoencoder } from './taesd.ts';
import { createClipTokenizer, type ClipTokenizer } from './tokenizer.ts';
import { parseUNetConfig, type UNetConfig } from './unetConfig.ts';
import { UNet2DCondition } from './unet.ts';
import { AutoencoderKL, parseVaeConfig, type VaeConfig, type VaeParts } from './vae.ts';

/** Called as tensors reach the GPU: 0..1 of the part being loaded. */
export type LoadProgress = (fraction: number) => void;

/** Stable Diffusion 1.x, from whatever FileTree holds it. */
export interface DiffusionModel {
  readonly name: string;
  readonly unetConfig: UNetConfig;
  readonly vaeConfig: VaeConfig;
  readonly textConfig: ClipTextConfig;
  /** scheduler/scheduler_config.json as it is; schedulers/ reads it. */
  readonly schedulerConfig: Readonly<Record<string, unknown>>;
  readonly tokenizer: ClipTokenizer;
  loadTextEncoder(onProgress?: LoadProgress): Promise<ClipTextEncoder>;
  /** `format`: how its weights are kept on the GPU; f16 if not given. */
  loadUNet(onProgress?: LoadProgress, format?: WeightFormat): Promise<UNet2DCondition>;
  loadVae(parts: VaeParts, onProgress?: LoadProgress): Promise<AutoencoderKL>;
  /** The decoder of the TAESD that lies with the model, in `taesd/`; null if there is none. */
  loadTaesd(): Promise<TinyAutoencoder | null>;
  /** The colours of latents as tools/latent-colours fitted them, in `vae/latent_colours.json`; null if there is none. */
  loadLatentColours(): Promise<LatentColours | null>;
}

/** An affine map from latents, as the UNet sees them, to RGB 0..255: rows [channels + 1][3], the constant last. */
export interface LatentColours {
  readonly channels: number;
  readonly matrix: Float64Array;
}

/** Sides of pictures must be multiples of this many pixels: what the VAE makes one latent pixel of. */
export function resolutionUnit(model: Pick<DiffusionModel, 'vaeConfig'>): number {
  return 2 ** (model.vaeConfig.blockOutChannels.length - 1);
}

/**
 * Opens a repository.
 *
 * @throws {ModelConfigError} where a config is missing or broken.
 * @throws {UnsupportedModelError} for anything but Stable Diffusion 1.x.
 */
export async function openDiffusionModel(tree: FileTree): Promise<DiffusionModel> {
  if (tree.has('text_encoder_2/config.json')) {
    throw new UnsupportedModelError(tree.name, 'Stable Diffusion XL (two text encoders)');
  }
  const unetConfig = parseUNetConfig(await ConfigReader.open(tree, 'unet/config.json'));
  const vaeConfig = parseVaeConfig(await ConfigReader.open(tree, 'vae/config.json'));
  const textConfig = parseClipTextConfig(await ConfigReader.open(tree, 'text_encoder/config.json'));
  if (textConfig.hiddenSize !== unetConfig.crossAttentionDim) {
    throw new ModelConfigError(
      tree.name,
      `the text encoder's width ${textConfig.hiddenSize} is not the UNet's cross_attention_dim ${unetConfig.crossAttentionDim}`,
    );
  }
  const schedulerConfig = await json(tree, 'scheduler/scheduler_config.json');
  const tokenizer = await openTokenizer(tree);
  const load = async <T>(
    folder: string,
    onProgress: LoadProgress | undefined,
    build: (reader: Awaited<ReturnType<typeof openModelWeights>>, onTensor: () => void) => Promise<T>,
  ): Promise<T> => {
    const reader = await openModelWeights(tree, folder);
    const total = reader.names().length;
    let done = 0;
    return build(reader, () => onProgress?.(Math.min(1, ++done / total)));
  };
  return {
    name: tree.name,
    unetConfig,
    vaeConfig,
    textConfig,
    schedulerConfig,
    tokenizer,
    loadTextEncoder: (onProgress) =>
      load('text_encoder', onProgress, (reader, onTensor) => ClipTextEncoder.load(reader, textConfig, onTensor)),
    loadUNet: (onProgress, format) =>
      load('unet', onProgress, (reader, onTensor) => UNet2DCondition.load(reader, unetConfig, onTensor, format)),
    loadVae: (parts, onProgress) =>
      load('vae', onProgress, (reader, onTensor) => AutoencoderKL.load(reader, vaeConfig, parts, onTensor)),
    loadTaesd: async () => {
      const folder = findTaesd(tree);
      return folder === null ? null : TinyAutoencoder.load(tree, folder, { encoder: false, decoder: true });
    },
    loadLatentColours: () => readLatentColours(tree, vaeConfig.latentChannels),
  };
}

/** A repository's tokenizer alone. Throws {@link ModelConfigError} or TokenizerFormatError. */
export async function openTokenizer(tree: FileTree): Promise<ClipTokenizer> {
  return createClipTokenizer({
    vocab: (await json(tree, 'tokenizer/vocab.json')) as Record<string, number>,
    merges: await text(tree, 'tokenizer/merges.txt'),
    config: tree.has('tokenizer/tokenizer_config.json') ? await json(tree, 'tokenizer/tokenizer_config.json') : {},
  });
}

const COLOURS = 'vae/latent_colours.json';

async function readLatentColours(tree: FileTree, channels: number): Promise<LatentColours | null> {
  if (!tree.has(COLOURS)) return null;
  const { matrix } = await json(tree, COLOURS);
  const isMatrix = Array.isArray(matrix) && matrix.length === (channels + 1) * 3 && matrix.every(Number.isFinite);
  if (!isMatrix) {
    throw new ModelConfigError(`${tree.name}/${COLOURS}`, `"matrix" should be ${(channels + 1) * 3} numbers`);
  }
  return { channels, matrix: Float64Array.from(matrix as number[]) };
}

async function text(tree: FileTree, path: string): Promise<string> {
  if (!tree.has(path)) throw new ModelConfigError(`${tree.name}/${path}`, 'the file is missing');
  return readText(await tree.open(path));
}

async function json(tree: FileTree, path: string): Promise<Record<string, unknown>> {
  try {
    return JSON.parse(await text(tree, path)) as Record<string, unknown>;
  } catch (cause) {
    if (cause instanceof SyntaxError) throw new ModelConfigError(`${tree.name}/${path}`, 'it is not valid JSON');
    throw cause;
  }
}
