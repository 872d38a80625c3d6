/** `loratory bake`: a model with LoRAs in its weights for good. */
import { mkdir, open, realpath, rename, rm } from 'node:fs/promises';
import { dirname, join, sep } from 'node:path';
import { LoratoryError } from '../core/errors.ts';
import { Command, Option } from 'commander';
import { atWeights } from '../export/combine.ts';
import { bakeFolder, bakeSingleFile, type BakedFile } from '../export/bake.ts';
import { openDiffusionModel } from '../models/repository.ts';
import { adaptableModules } from '../session/training.ts';
import { dtypeOf, type FormFlags } from './convertCommand.ts';
import { runCommand } from './exit.ts';
import { loadLora, warnUnmatched } from './loraFiles.ts';
import { folderTree } from './nodeFiles.ts';
import { loraOption } from './options.ts';
import { Progress } from './progress.ts';

/** What is to be written lies where what is read lies. */
export class OutputIsInputError extends LoratoryError {
  readonly code = 'output-is-input';

  constructor(to: string, from: string) {
    super(
      `Baking into ${to} would overwrite ${from}, which it is made from.`,
      'Name another place: weights that were baked cannot be taken out again.',
      { to, from },
    );
  }
}

export function bakeCommand(): Command {
  return new Command('bake')
    .description('Adds LoRAs into the weights of a model: bake MODEL STYLE.safetensors:0.8 OUT')
    .argument('<model>', 'folder of a Stable Diffusion 1.5 model in diffusers layout')
    .argument(
      '<loras...>',
      'FILE:WEIGHT of each LoRA, and last what to write: a folder, or a single file if it ends in .safetensors',
    )
    .addOption(new Option('--dtype <dtype>', 'in which precision').choices(['fp16', 'fp32']).default('fp16'))
    .action((model: string, paths: string[], flags: FormFlags, command: Command) => {
      const out = paths.at(-1);
      if (out === undefined || paths.length < 2) command.error('At least one LoRA and what to write are wanted.');
      return runCommand(() => bake(model, paths.slice(0, -1), out, dtypeOf(flags)));
    });
}

async function bake(folder: string, from: readonly string[], to: string, dtype: 'F16' | 'F32'): Promise<number> {
  const tree = await folderTree(folder);
  const model = await openDiffusionModel(tree);
  const loras = [];
  const files = from.flatMap((text) => loraOption(text));
  await refuseInputs(to, folder, [folder, ...files.map(({ path }) => path)]);
  for (const { path, ...weights } of files) {
    const lora = await loadLora(path, adaptableModules(model));
    warnUnmatched(path, lora.unmatched);
    loras.push(...atWeights(lora, weights));
  }
  const progress = new Progress();
  let started = false;
  const onProgress = (done: number, total: number): void => {
    if (!started) progress.start(total, 'Baking {bar} {value}/{total} | {eta} s left');
    started = true;
    progress.update(done);
  };
  const request = { tree, loras, dtype, onProgress };
  try {
    if (to.endsWith('.safetensors')) {
      const { layersPerBlock, upAttention } = model.unetConfig;
      const vaeLevels = model.vaeConfig.blockOutChannels.length;
      await write(to, await bakeSingleFile(request, { layersPerBlock, upAttention, vaeLevels }));
    } else {
      for (const file of await bakeFolder(request)) await write(join(to, file.path), file);
    }
  } finally {
    progress.stop();
  }
  process.stdout.write(`${to}\n`);
  return 0;
}

/** Throws {@link OutputIsInputError} where `to` is one of `inputs`, or a file of the model's folder. */
async function refuseInputs(to: string, model: string, inputs: readonly string[]): Promise<void> {
  const target = await realpath(to).catch(() => null);
  // What is not there yet overwrites nothing.
  if (target === null) return;
  for (const input of inputs) if (target === (await realpath(input))) throw new OutputIsInputError(to, input);
  if (to.endsWith('.safetensors') && target.startsWith((await realpath(model)) + sep))
    throw new OutputIsInputError(to, model);
}

/** A file is there as a whole or, where baking fails or is stopped, as it was before. */
async function write(path: string, file: BakedFile): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const draft = `${path}.draft`;
  try {
    const handle = await open(draft, 'w');
    try {
      for await (const piece of file.pieces()) await handle.writeFile(piece);
    } finally {
      await handle.close();
    }
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}
