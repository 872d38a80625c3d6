/** The UNet's nine blocks, for learning rates of their own (kohya's block_lr has the same ones, each cut in three). */

/** In forward order, by the beginning of their modules' paths in diffusers' model. */
export const unetBlocks = [
  'down_blocks.0',
  'down_blocks.1',
  'down_blocks.2',
  'down_blocks.3',
  'mid_block',
  'up_blocks.0',
  'up_blocks.1',
  'up_blocks.2',
  'up_blocks.3',
] as const;

export type UNetBlock = (typeof unetBlocks)[number];

/** The block that a module of the UNet is in; null for those around them (conv_in, time_embedding, conv_out). */
export function blockOf(module: string): UNetBlock | null {
  return unetBlocks.find((block) => module.startsWith(`${block}.`)) ?? null;
}
