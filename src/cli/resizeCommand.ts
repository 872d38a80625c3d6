/** `loratory resize`: a LoRA at a lower rank, with what that costs. */
import { Command } from 'commander';
import { combineLoras, type Combined } from '../export/combine.ts';
import { keptMetadata, rankMetadata } from '../export/header.ts';
import { dtypeOf, withForm, type FormFlags } from './convertCommand.ts';
import { runCommand } from './exit.ts';
import { loadLora, saveLora, warnUnmatched } from './loraFiles.ts';
import { whole } from './options.ts';

interface ResizeFlags extends FormFlags {
  readonly rank: number;
}

export function resizeCommand(): Command {
  return withForm(
    new Command('resize')
      .description(
        'Brings a LoRA (or LoCon, LoHa, LoKr, full difference) to a lower rank and shows the error of each layer.',
      )
      .argument('<in>', 'a .safetensors file or a PEFT folder')
      .argument('<out>', 'the file to write')
      .requiredOption('--rank <n>', 'the largest rank that a layer may have', whole),
  ).action((from: string, to: string, flags: ResizeFlags) => runCommand(() => resize(from, to, flags)));
}

async function resize(from: string, to: string, flags: ResizeFlags): Promise<number> {
  const lora = await loadLora(from);
  warnUnmatched(from, lora.unmatched);
  const combined = combineLoras([{ lora, weight: 1 }], flags.rank);
  const metadata = { ...keptMetadata(lora.metadata), ...rankMetadata(flags.rank) };
  await saveLora(to, combined.lora, { form: flags.form, dtype: dtypeOf(flags), metadata });
  printErrors(combined);
  process.stdout.write(`${to}\n`);
  return 0;
}

/** One line a layer, and the error of all together. */
export function printErrors({ layers, error }: Combined): void {
  const percent = (share: number): string => `${(100 * share).toFixed(2).padStart(6)} %`;
  for (const { module, ranks, error: own } of layers) {
    process.stdout.write(
      `${percent(own)}  rank ${String(ranks[0]).padStart(4)} -> ${String(ranks[1]).padEnd(4)} ${module}\n`,
    );
  }
  process.stdout.write(`${percent(error)}  in total, of ${layers.length} layers\n`);
}
