/** `loratory merge`: several LoRAs as one. */
import { basename } from 'node:path';
import { Command } from 'commander';
import { atWeights, combineLoras } from '../export/combine.ts';
import { mergedMetadata } from '../export/header.ts';
import { dtypeOf, withForm, type FormFlags } from './convertCommand.ts';
import { runCommand } from './exit.ts';
import { loadLora, saveLora, warnUnmatched } from './loraFiles.ts';
import { loraOption, whole } from './options.ts';
import { printErrors } from './resizeCommand.ts';

interface MergeFlags extends FormFlags {
  readonly rank?: number;
}

export function mergeCommand(): Command {
  return withForm(
    new Command('merge')
      .description('Adds LoRAs up, each times its weight: merge A.safetensors:0.8 B.safetensors:0.5 OUT')
      .argument('<loras...>', 'FILE:WEIGHT of each, and the file to write last')
      .option(
        '--rank <n>',
        'the largest rank that a layer may have (default: the sum of the ranks, which is exact)',
        whole,
      ),
  ).action((paths: string[], flags: MergeFlags, command: Command) => {
    const out = paths.at(-1);
    if (out === undefined || paths.length < 2) command.error('At least one LoRA and the file to write are wanted.');
    return runCommand(() => merge(paths.slice(0, -1), out, flags));
  });
}

async function merge(from: readonly string[], to: string, flags: MergeFlags): Promise<number> {
  const inputs = [];
  const names: string[] = [];
  for (const { path, ...weights } of from.flatMap((text) => loraOption(text))) {
    const lora = await loadLora(path);
    warnUnmatched(path, lora.unmatched);
    inputs.push(...atWeights(lora, weights));
    names.push(
      `${lora.metadata['modelspec.title'] ?? basename(path, '.safetensors')} (${Object.values(weights).join(', ')})`,
    );
  }
  const combined = combineLoras(inputs, flags.rank ?? null);
  const metadata = mergedMetadata(basename(to, '.safetensors'), combined, names);
  await saveLora(to, combined.lora, { form: flags.form, dtype: dtypeOf(flags), metadata });
  if (flags.rank !== undefined) printErrors(combined);
  process.stdout.write(`${to}: ${names.join(' + ')}, ${combined.layers.length} layers\n`);
  return 0;
}
