/** What a LoRA file holds, whatever form it is written in. */
import { LoratoryError } from '../../core/errors.ts';

/** The part of the model that an adapter changes. */
export type LoraTarget = 'unet' | 'textEncoder';

/**
 * One adapted layer: y += weight * (alpha / rank) * up (down x). Linear layers have `down` [rank, in] and `up` [out, rank], row-major;
 * convolutions have `kernel`, and then `down` is [rank, in, kh, kw] and `up` [out, rank, 1, 1].
 */
export interface LoraModule {
  /** The layer's path in diffusers' model, e.g. `down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q`. */
  readonly module: string;
  readonly target: LoraTarget;
  readonly down: Float32Array;
  readonly up: Float32Array;
  readonly rank: number;
  readonly alpha: number;
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly kernel?: readonly [height: number, width: number];
  /**
   * Of DoRA: the norms that the outputs' rows of the weights are brought to. Only adapters that are being trained have them here; those
   * that are read from files are {@link WeightChange}s.
   */
  readonly magnitude?: Float32Array;
}

/** a b: [rows, rank] times [rank, columns], both row-major. */
export interface Product {
  readonly a: Float32Array;
  readonly b: Float32Array;
  readonly rank: number;
}

/**
 * How a change of a weight is stored; what it makes is [outFeatures, inFeatures * kernel height * kernel width], torch's order. The
 * decompositions of kernels (LoCon's mid, LoHa's t, LoKr's t2) have been multiplied out: what is left does the same.
 */
export type Delta =
  | { readonly kind: 'product'; readonly product: Product }
  /** LoHa (Hyeon-Woo et al. 2022): two products, multiplied number by number. */
  | { readonly kind: 'hadamard'; readonly first: Product; readonly second: Product }
  /** LoKr (Yeh et al. 2023): the Kronecker product of `left` [rows, columns] and `right` [out / rows, the rest]. */
  | {
      readonly kind: 'kronecker';
      readonly left: Float32Array;
      readonly rows: number;
      readonly columns: number;
      readonly right: Float32Array;
    }
  | { readonly kind: 'full'; readonly values: Float32Array };

/** DoRA's magnitudes (Liu et al. 2024): the norms that the rows (one an output) or columns (one an input) of the sum shall have. */
export interface Magnitude {
  readonly values: Float32Array;
  readonly axis: 'output' | 'input';
}

/**
 * A change of a layer's weight that is no plain {@link LoraModule}. At weight w the layer has W + w (D - W), where D is W + scale * delta,
 * with DoRA brought to its magnitudes; and its bias b + w * bias.
 */
export interface WeightChange {
  readonly module: string;
  readonly target: LoraTarget;
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly kernel?: readonly [height: number, width: number];
  readonly delta: Delta | null;
  readonly scale: number;
  readonly magnitude?: Magnitude;
  readonly bias?: Float32Array;
}

/** A layer that an adapter may change. A file's tensors are held to its sizes where they are given. */
export interface KnownModule {
  readonly module: string;
  /** Default: the UNet. */
  readonly target?: LoraTarget;
  readonly inFeatures?: number;
  readonly outFeatures?: number;
  /** 1 for linear layers. */
  readonly kernelSize?: number;
}

/** The forms in circulation: kohya's sd-scripts', diffusers' (old and new), PEFT's. */
export type LoraForm = 'kohya' | 'diffusers' | 'peft';

/** The forms as they are called in sentences. */
export const FORM_NAMES: Readonly<Record<LoraForm, string>> = {
  kohya: "kohya's form",
  diffusers: "diffusers' form",
  peft: "PEFT's form",
};

export interface LoraFile {
  readonly form: LoraForm;
  /** Plain low-rank pairs, in the order of the known modules. */
  readonly modules: readonly LoraModule[];
  /** Every other kind of change, in the same order. */
  readonly changes: readonly WeightChange[];
  /** The file's own names of layers that the model does not have, and of tensors that belong to no layer. */
  readonly unmatched: readonly string[];
  /** The file's header: kohya's ss_* and modelspec.*. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** Why a LoRA file cannot be used, for code; the message says it for people. */
export type LoraFault =
  | 'not-lora'
  | 'unsupported-kind'
  | 'sdxl'
  | 'incomplete'
  | 'wrong-shape'
  | 'no-match'
  | 'not-finite';

const REMEDIES: Readonly<Record<LoraFault, string>> = {
  'not-lora': 'Choose a LoRA file made by kohya, diffusers, PEFT or Loratory.',
  'unsupported-kind': 'Choose a LoRA, LoCon, LoHa, LoKr, DoRA or a file of full differences.',
  sdxl: 'Choose a LoRA made for Stable Diffusion 1.5.',
  incomplete: 'Download the file again, or export it again from where it was made.',
  'wrong-shape': 'Choose a LoRA made for this model.',
  'no-match': 'Choose a LoRA made for this model.',
  'not-finite': 'The training that made it diverged: train again with a lower learning rate.',
};

/** A LoRA file is of a kind that is not supported, malformed, or made for another model. */
export class LoraFileError extends LoratoryError {
  readonly code = 'lora-file';

  /** `key`: the file's name of the layer or tensor at fault, where it is one. */
  constructor(
    readonly file: string,
    readonly reason: LoraFault,
    what: string,
    key?: string,
  ) {
    super(`${file} ${what}.`, REMEDIES[reason], { file, reason, ...(key === undefined ? {} : { key }) });
  }
}
