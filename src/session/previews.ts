/**
 * What pictures are becoming, while they are denoised. By the best that is cheap: the VAE itself where it is small; TAESD where the
 * model's folder has one; else the latents' own colours, by a map that lies with the model (tools/latent-colours) or is fitted here to
 * what the decoder makes of made-up latents, and then to every picture that is finished.
 */
import type { RgbImage } from '../core/image.ts';
import { clampByte } from '../core/bytes.ts';
import { TorchGenerator } from '../core/rng.ts';
import { fitPreview, previewLatents, type LatentPreview } from '../latents/preview.ts';
import type { DiffusionModel } from '../models/repository.ts';
import type { TinyAutoencoder } from '../models/taesd.ts';
import type { AutoencoderKL, VaeConfig } from '../models/vae.ts';
import { decodeLatentBatch } from '../sampler/image.ts';
import { resizeLatents } from '../sampler/resample.ts';
import { cheapDecode, decodeMultiplyAdds } from './strips.ts';

export type LatentShape = readonly [count: number, h: number, w: number, c: number];

/** A picture and the latents that it was decoded from, [h, w, c]. */
interface Pair {
  readonly image: RgbImage;
  readonly latents: Float32Array;
}

/** Pictures that the fit remembers. */
const rememberedPairs = 8;

export class PreviewPainter {
  private colours: LatentPreview | null | undefined;
  private taesd: TinyAutoencoder | null | undefined;
  private readonly pairs: Pair[] = [];
  private isStale = true;

  /** `loadVae` gives the decoder, which stays the caller's. */
  constructor(
    private readonly model: DiffusionModel,
    private readonly loadVae: () => Promise<AutoencoderKL>,
  ) {}

  /** Paints latents [count, h, w, c], scaled as the UNet sees them; `colours` never decodes. */
  async paint(latents: Float32Array, shape: LatentShape, mode: 'auto' | 'colours'): Promise<RgbImage[]> {
    const [count, h, w, c] = shape;
    if (mode === 'auto') {
      if (decodeMultiplyAdds(this.model.vaeConfig, count * h * w) <= cheapDecode)
        return decodeLatentBatch(await this.loadVae(), latents, [count, h, w]);
      this.taesd ??= await this.model.loadTaesd();
      if (this.taesd) return decodeTiny(this.taesd, latents, shape);
    }
    const colours = await this.coloursOf();
    return Array.from({ length: count }, (_, i) =>
      previewLatents(colours, latents.subarray(i * h * w * c, (i + 1) * h * w * c), h, w),
    );
  }

  /** A finished picture and its latents [h, w, c]: the next previews know its colours. */
  learn(image: RgbImage, latents: Float32Array): void {
    this.pairs.push({ image, latents });
    if (this.pairs.length > rememberedPairs) this.pairs.shift();
    this.isStale = true;
  }

  dispose(): void {
    this.taesd?.dispose();
    this.taesd = undefined;
  }

  private async coloursOf(): Promise<LatentPreview> {
    this.colours ??= await this.model.loadLatentColours();
    if (this.colours) return this.colours;
    if (!this.fitted || this.isStale) {
      if (this.pairs.length === 0) this.pairs.push(...(await madeUpPairs(await this.loadVae())));
      this.fitted = fitColours(this.pairs, this.model.vaeConfig);
      this.isStale = false;
    }
    return this.fitted;
  }

  private fitted: LatentPreview | null = null;
}

/** The best affine map from latents to the mean colours of what was decoded from them. */
function fitColours(pairs: readonly Pair[], { latentChannels: channels, scalingFactor }: VaeConfig): LatentPreview {
  return fitPreview(
    pairs.map(({ image, latents }) => {
      const unscaled = latents.map((value) => value / scalingFactor);
      const factor = Math.sqrt((image.width * image.height * channels) / latents.length);
      return {
        image,
        latents: {
          width: image.width / factor,
          height: image.height / factor,
          channels,
          plain: { mean: unscaled, logvar: new Float32Array(unscaled.length) },
          flipped: null,
        },
      };
    }),
    scalingFactor,
  );
}

/** Smooth noise of the size that latents have, decoded: from even fields to fine texture. */
async function madeUpPairs(vae: AutoencoderKL): Promise<Pair[]> {
  const rng = new TorchGenerator(0);
  const side = 16;
  const { latentChannels } = vae.config;
  const pairs: Pair[] = [];
  for (const coarse of [1, 2, 4, 8]) {
    const noise = rng.randn([1, latentChannels, coarse, coarse]);
    const channelsLast = new Float32Array(noise.length);
    for (let k = 0; k < latentChannels; k++)
      for (let p = 0; p < coarse ** 2; p++) channelsLast[p * latentChannels + k] = noise[k * coarse ** 2 + p]!;
    const latents = resizeLatents(channelsLast, [1, coarse, coarse, latentChannels], [side, side]);
    const [image] = await decodeLatentBatch(vae, latents, [1, side, side]);
    pairs.push({ image: image!, latents });
  }
  return pairs;
}

async function decodeTiny(taesd: TinyAutoencoder, latents: Float32Array, [n, h, w]: LatentShape): Promise<RgbImage[]> {
  const values = await taesd.decode(latents, [n, h, w]);
  const [width, height] = [w * taesd.factor, h * taesd.factor];
  const size = width * height * 3;
  return Array.from({ length: n }, (_, i) => ({
    width,
    height,
    data: Uint8Array.from(values.subarray(i * size, (i + 1) * size), (value) => clampByte((value / 2 + 0.5) * 255)),
  }));
}
