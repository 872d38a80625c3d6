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
}

/** A layer that an adapter may change. A file's tensors are held to its sizes where they are given. */
export interface KnownModule {
  readonly module: string;
  readonly inFeatures?: number;
  readonly outFeatures?: number;
}

/** The forms in circulation: kohya's sd-scripts', diffusers' (old and new), PEFT's. */
export type LoraForm = 'kohya' | 'diffusers' | 'peft';

export interface LoraFile {
  readonly form: LoraForm;
  /** In the order of the known modules. */
  readonly modules: readonly LoraModule[];
  /** The file's own names of layers that the model does not have (or that are not adapted here). */
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
  'unsupported-kind':
    'Use a plain LoRA: in kohya, network_module networks.lora without conv_dim; in PEFT, without DoRA.',
  sdxl: 'Choose a LoRA made for Stable Diffusion 1.5.',
  incomplete: 'Download the file again, or export it again from where it was made.',
  'wrong-shape': 'Choose a LoRA made for this model.',
  'no-match': 'Choose a LoRA made for this model.',
  'not-finite': 'The training that made it diverged: train again with a lower learning rate.',
};

/** A LoRA file is of a kind that is not supported, malformed, or made for another model. */
export class LoraFileError extends LoratoryError {
  readonly code = 'lora-file';

  constructor(
    readonly file: string,
    readonly reason: LoraFault,
    what: string,
  ) {
    super(`${file} ${what}.`, REMEDIES[reason], { file, reason });
  }
}
