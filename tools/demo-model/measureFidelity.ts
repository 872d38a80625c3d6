/** Whether the model draws what it is asked for: of all drawings, is the one most like its picture the one named in the prompt? */
import { imageGrid } from '../../src/cli/grid.ts';
import { defined } from '../../src/core/invariant.ts';
import type { RgbImage } from '../../src/core/image.ts';
import { drawingNames } from './drawings.mjs';
import type { MeasureRun } from './measureRun.ts';
import { halve, nearest, noun, spread } from './measureScores.ts';

const columns = 20;

export interface FidelityReport {
  readonly names: number;
  /** Shares of the names, 0..1: the nearest drawing has the very name, or one with the same noun (the very name included). */
  readonly sameName: number;
  readonly sameNoun: number;
  readonly misses: readonly { readonly prompt: string; readonly seed: number; readonly nearest: string }[];
}

/** `count` names of the training set, evenly spread. */
export const fidelityPrompts = (count: number): string[] => spread(drawingNames(), count);

/** Draws `count` names of the training set, one picture each, and looks for the nearest drawing of all. */
export async function measureFidelity(run: MeasureRun, count: number): Promise<FidelityReport> {
  const all = drawingNames();
  const drawings: Float32Array[] = [];
  run.say(`Drawing ${all.length} emoji to compare with`);
  for (const name of all) drawings.push(halve(await run.plain(name)));

  const names = fidelityPrompts(count);
  const drawn = await run.generate('Prompts', 'prompts', names);
  const asked: RgbImage[] = [];
  const misses: { prompt: string; seed: number; nearest: string }[] = [];
  let [sameName, sameNoun] = [0, 0];
  for (const [i, name] of names.entries()) {
    asked.push(await run.plain(name));
    const found = defined(all[nearest(halve(defined(drawn[i])), drawings)]);
    if (found === name) sameName++;
    if (noun(found) === noun(name)) sameNoun++;
    else misses.push({ prompt: name, seed: run.sampling.seed + i, nearest: found });
  }
  await run.save('fidelity.png', pairs(asked, drawn));
  return { names: names.length, sameName: sameName / names.length, sameNoun: sameNoun / names.length, misses };
}

/** Rows of drawings, each with the pictures drawn for their names below. */
function pairs(above: readonly RgbImage[], below: readonly RgbImage[]): RgbImage {
  const rows: RgbImage[] = [];
  for (let at = 0; at < above.length; at += columns) {
    rows.push(
      imageGrid(
        [...above.slice(at, at + columns), ...below.slice(at, at + columns)],
        Math.min(columns, above.length - at),
        2,
      ),
    );
  }
  return imageGrid(rows, 1, 8);
}
