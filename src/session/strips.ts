/**
 * The pictures of a training step: for each image of the batch the clean one, the noisy one, and the model's guess. Where the VAE
 * is small they are decoded for real; a large one's decoding would cost more than the step, so its latents are painted by
 * the affine preview.
 */
import type { RgbImage } from '../core/image.ts';
import { defined } from '../core/invariant.ts';
import { type LatentPreview, previewLatents } from '../latents/preview.ts';
import type { DiffusionModel } from '../models/repository.ts';
import type { AutoencoderKL, VaeConfig } from '../models/vae.ts';
import { decodeLatentBatch } from '../sampler/image.ts';
import type { BatchEntry } from '../trainer/batches.ts';
import type { NoisyBatch } from '../trainer/batch.ts';
import type { StripEntry } from '../worker/protocol.ts';

/** Up to this many multiply-adds a picture is decoded: some 5 ms on a GPU of 1 TFLOP/s. SD1.5's VAE at 512 px takes 1.2e12. */
export const cheapDecode = 3e9;

/** Decoded strips take at most one part in so many of the time: a slow GPU shows fewer of them instead of training slower. */
const shareOfTime = 10;

/** Multiply-adds of decoding one picture of so many latent pixels: those of the 3x3 convolutions, which are nearly all. */
export function decodeMultiplyAdds(config: VaeConfig, latentPixels: number): number {
  const { blockOutChannels, layersPerBlock, latentChannels, outChannels } = config;
  const widths = blockOutChannels.toReversed();
  let channels = defined(widths[0]);
  let pixels = latentPixels;
  // Into the decoder and through its two middle blocks.
  let total = pixels * (latentChannels * channels + 4 * channels ** 2);
  widths.forEach((width, level) => {
    total += pixels * (channels * width + width ** 2 + layersPerBlock * 2 * width ** 2);
    channels = width;
    if (level === widths.length - 1) return;
    pixels *= 4;
    total += pixels * width ** 2;
  });
  return 9 * (total + pixels * channels * outChannels);
}

export class StripPainter {
  readonly #model: DiffusionModel;
  readonly #preview: LatentPreview;
  #vae: AutoencoderKL | null = null;
  #decoded = 0;
  #notBefore = 0;

  constructor(model: DiffusionModel, preview: LatentPreview) {
    this.#model = model;
    this.#preview = preview;
  }

  /**
   * Paints a batch; empty if it is too early for the next decoded strip. The decoder is loaded with the first strip and stays, so
   * call it between steps, and {@link dispose} at the end. `imageIds`: by the index that the entries name. `timed`: false for a strip that
   * is painted for its memory alone, which neither waits nor lets the next one wait.
   */
  async paint(
    entries: readonly Pick<BatchEntry, 'image' | 'flipped' | 'timestep'>[],
    imageIds: readonly string[],
    batch: Pick<NoisyBatch, 'shape' | 'clean' | 'noisy'>,
    predicted: Float32Array,
    timed = true,
  ): Promise<StripEntry[]> {
    const [n, h, w] = batch.shape;
    const decodes = decodeMultiplyAdds(this.#model.vaeConfig, h * w) <= cheapDecode;
    const started = performance.now();
    if (decodes && timed && started < this.#notBefore) return [];
    if (decodes) this.#vae ??= await this.#model.loadVae({ encoder: false, decoder: true });
    const pictures = await this.#pictures([batch.clean, batch.noisy, predicted], batch.shape);
    if (timed) {
      // The first strip loads and compiles, so it says nothing about the next one.
      const took = this.#decoded++ === 0 ? 0 : performance.now() - started;
      this.#notBefore = performance.now() + (shareOfTime - 1) * took;
    }
    return entries.map(({ image, flipped, timestep }, i) => ({
      imageId: defined(imageIds[image]),
      timestep,
      flipped,
      clean: defined(pictures[i]),
      noisy: defined(pictures[n + i]),
      predicted: defined(pictures[2 * n + i]),
    }));
  }

  /** The pictures of several batches of latents of the same shape, one batch after the other. */
  async #pictures(batches: readonly Float32Array[], [n, h, w, c]: NoisyBatch['shape']): Promise<RgbImage[]> {
    const size = h * w * c;
    const latents = new Float32Array(batches.length * n * size);
    batches.forEach((values, i) => latents.set(values, i * n * size));
    const count = batches.length * n;
    if (this.#vae) return decodeLatentBatch(this.#vae, latents, [count, h, w]);
    return Array.from({ length: count }, (_, i) =>
      previewLatents(this.#preview, latents.subarray(i * size, (i + 1) * size), h, w),
    );
  }

  dispose(): void {
    this.#vae?.dispose();
    this.#vae = null;
  }
}
