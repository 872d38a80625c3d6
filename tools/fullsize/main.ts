/** `npm run fullsize -- DIR`: writes a random model of SD1.5's size into DIR, unless it is there, and trains it; see docs/benchmarks.md. */
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { runCommand } from '../../src/cli/exit.ts';
import { whole } from '../../src/cli/options.ts';
import { Progress } from '../../src/cli/progress.ts';
import { trainFullSize, type FullSizeRun } from './train.ts';
import { writeRandomModel } from './write.ts';

interface Flags {
  readonly steps: number;
  readonly resolution: number;
  readonly runs: number;
}

async function main(folder: string, flags: readonly string[], { steps, resolution, runs }: Flags): Promise<number> {
  if (!existsSync(join(folder, 'text_encoder/model.fp16.safetensors'))) {
    const progress = new Progress();
    progress.start(100, 'Writing {bar} {value}%', {});
    await writeRandomModel(folder, resolve(dirname(fileURLToPath(import.meta.url)), '../fixtures/clip-tokenizer'), {
      onTensor: (done, total) => progress.update(Math.round((done / total) * 100), {}),
    });
    progress.stop();
  }
  const results: FullSizeRun[] = [];
  for (let i = 0; i < runs; i++) {
    const run = await trainFullSize(folder, { steps, resolution, flags });
    results.push(run);
    const memory = run.peakBytes === null ? 'unknown' : `${(run.peakBytes / 1e9).toFixed(2)} GB`;
    process.stdout.write(
      `Losses ${run.losses.map((loss) => loss.toPrecision(9)).join(', ')}; ${run.seconds.toFixed(0)} s; peak memory of the process ${memory}\n`,
    );
  }
  const finite = results.every(
    ({ losses }) => losses.length === steps && losses.every((loss) => Number.isFinite(loss)),
  );
  const same = results.every(({ losses }) => losses.join() === results[0]!.losses.join());
  process.stdout.write(
    `${finite ? 'All losses are finite' : 'A LOSS IS NOT FINITE'}; ${runs < 2 ? 'one run only' : same ? 'all runs have the same' : 'THE RUNS DIFFER'}.\n`,
  );
  return finite && same ? 0 : 1;
}

await new Command('fullsize')
  .description(
    "Writes a random model of SD1.5's size into DIR, unless it is there, and trains it through the command line.",
  )
  .argument('<dir>', 'the folder; 2.1 GB')
  .argument('[flags...]', 'further flags of `loratory train`, after --')
  .option('--steps <n>', 'training steps; 0 only writes the model', whole, 3)
  .option('--resolution <px>', 'side of the pictures', whole, 128)
  .option('--runs <n>', 'trainings, whose losses must be the same', whole, 2)
  .action((folder: string, rest: string[], flags: Flags) =>
    runCommand(() => main(folder, rest, { ...flags, runs: flags.steps === 0 ? 0 : flags.runs })),
  )
  .parseAsync();
