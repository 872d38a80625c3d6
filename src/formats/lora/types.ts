/** What a LoRA file holds, whatever form it is written in. */

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

/** A layer that an adapter may change: its path, without and with knowledge of its sizes. */
export interface KnownModule {
  readonly module: string;
  readonly target: LoraTarget;
  readonly inFeatures?: number;
  readonly outFeatures?: number;
}
