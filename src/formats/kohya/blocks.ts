/**
 * Block-wise learning rates, kohya's way: `down_lr_weight` and `up_lr_weight` have a factor for each of 12 blocks, `mid_lr_weight` one.
 * Block 0 of the way down has no layers to adapt; behind it, and on the way up, each resolution has three: two pairs of ResNet block and
 * transformer and a sampler on the way down, three pairs on the way up, the last with the sampler.
 *
 * Source: kohya-ss/sd-scripts, networks/lora.py, get_block_index.
 */
import type { TrainOptions } from '../../core/trainOptions.ts';

type Rates = TrainOptions['blockLearningRates'];

export const BLOCKS = 12;

export interface BlockWeights {
  readonly down: readonly number[];
  readonly mid: number;
  readonly up: readonly number[];
}

/** The starts of the paths of the layers in each block; the first one stands for the block. */
function pathsOf(part: 'down' | 'up', block: number): readonly string[] {
  const index = part === 'down' ? block - 1 : block;
  if (index < 0) return [];
  const [level, place] = [Math.floor(index / 3), index % 3];
  const blocks = `${part}_blocks.${level}`;
  if (part === 'down' && place === 2) return [`${blocks}.downsamplers`];
  const pair = [`${blocks}.attentions.${place}`, `${blocks}.resnets.${place}`];
  return part === 'up' && place === 2 ? [...pair, `${blocks}.upsamplers`] : pair;
}

/** SD 1.5 has no attention at its coarsest level, which is the last on the way down and the first on the way up. */
function exists(path: string): boolean {
  return !/^down_blocks\.3\.(attentions|downsamplers)|^up_blocks\.0\.attentions|^up_blocks\.3\.upsamplers/.test(path);
}

/** Factors by path from kohya's lists; what is 1 need not be said. */
export function ratesFromWeights({ down, mid, up }: BlockWeights): Rates {
  const rates: Record<string, number> = {};
  const add = (part: 'down' | 'up', weights: readonly number[]): void => {
    weights.forEach((weight, block) => {
      if (weight !== 1) for (const path of pathsOf(part, block).filter(exists)) rates[path] = weight;
    });
  };
  add('down', down);
  if (mid !== 1) rates['mid_block'] = mid;
  add('up', up);
  return rates;
}

/** The factor of the longest start that fits; 1 where none does. */
function rateOf(rates: Rates, path: string): number {
  let best = '';
  for (const start of Object.keys(rates)) {
    if ((path === start || path.startsWith(`${start}.`)) && start.length > best.length) best = start;
  }
  return best === '' ? 1 : (rates[best] ?? 1);
}

/** kohya's lists from factors by path; null where the factors say what those lists cannot. */
export function weightsFromRates(rates: Rates): BlockWeights | null {
  let exact = true;
  const weights = (part: 'down' | 'up'): number[] =>
    Array.from({ length: BLOCKS }, (_, block) => {
      const paths = pathsOf(part, block).filter(exists);
      const values = paths.map((path) => rateOf(rates, path));
      if (new Set(values).size > 1) exact = false;
      return values[0] ?? 1;
    });
  const found = { down: weights('down'), mid: rateOf(rates, 'mid_block'), up: weights('up') };
  // Starts within a block, and layers outside of all blocks, have no place in the lists.
  const sayable = [
    ...['down', 'up'].flatMap((part) =>
      Array.from({ length: BLOCKS }, (_, block) => pathsOf(part as 'down' | 'up', block)).flat(),
    ),
    'mid_block',
  ];
  const isSayable = (start: string): boolean => sayable.some((path) => path === start || path.startsWith(`${start}.`));
  return exact && Object.keys(rates).every(isSayable) ? found : null;
}
