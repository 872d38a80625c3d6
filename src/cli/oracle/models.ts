/** The pack's model parts, loaded when a case first needs them and kept for the rest of the run. */
import { openDiffusionModel, type DiffusionModel } from '../../models/repository.ts';
import type { ClipTextEncoder } from '../../models/clip.ts';
import type { UNet2DCondition } from '../../models/unet.ts';
import { TinyAutoencoder, type TaesdLayout } from '../../models/taesd.ts';
import type { AutoencoderKL } from '../../models/vae.ts';
import type { OraclePack } from './pack.ts';

export class OracleModels {
  private modelPromise: Promise<DiffusionModel> | null = null;
  private unetPromise: Promise<UNet2DCondition> | null = null;
  private vaePromise: Promise<AutoencoderKL> | null = null;
  private taesdPromise: Promise<readonly [TinyAutoencoder, TinyAutoencoder]> | null = null;
  private textPromise: Promise<ClipTextEncoder> | null = null;

  constructor(private readonly pack: OraclePack) {}

  model(): Promise<DiffusionModel> {
    return (this.modelPromise ??= this.pack.modelTree().then(openDiffusionModel));
  }

  unet(): Promise<UNet2DCondition> {
    return (this.unetPromise ??= this.model().then((model) => model.loadUNet()));
  }

  vae(): Promise<AutoencoderKL> {
    return (this.vaePromise ??= this.model().then((model) => model.loadVae({ encoder: true, decoder: true })));
  }

  /** From diffusers' layout and from the author's. */
  taesd(): Promise<readonly [diffusers: TinyAutoencoder, original: TinyAutoencoder]> {
    const load = async (layout: TaesdLayout): Promise<TinyAutoencoder> =>
      TinyAutoencoder.load(await this.pack.modelTree(), '', { encoder: true, decoder: true, layout });
    return (this.taesdPromise ??= Promise.all([load('diffusers'), load('original')]));
  }

  textEncoder(): Promise<ClipTextEncoder> {
    return (this.textPromise ??= this.model().then((model) => model.loadTextEncoder()));
  }
}
