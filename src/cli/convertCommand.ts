/** `loratory convert`: a LoRA in another form or precision. */
import { Command, Option } from 'commander';
import type { LoraForm } from '../formats/lora/types.ts';
import { runCommand } from './exit.ts';
import { loadLora, saveLora, warnUnmatched } from './loraFiles.ts';

export interface FormFlags {
  readonly form: LoraForm;
  readonly dtype: 'fp16' | 'fp32';
}

/** Adds --form and --dtype, which every command that writes an adapter has. */
export function withForm(command: Command): Command {
  return command
    .addOption(new Option('--form <form>', 'how to write it').choices(['kohya', 'diffusers', 'peft']).default('kohya'))
    .addOption(new Option('--dtype <dtype>', 'in which precision').choices(['fp16', 'fp32']).default('fp16'));
}

export function dtypeOf({ dtype }: FormFlags): 'F16' | 'F32' {
  return dtype === 'fp16' ? 'F16' : 'F32';
}

export function convertCommand(): Command {
  return withForm(
    new Command('convert')
      .description('Writes a LoRA in another form. Its header is kept.')
      .argument('<in>', 'a .safetensors file or a PEFT folder')
      .argument('<out>', 'the file to write (with --form peft: the folder)'),
  ).action((from: string, to: string, flags: FormFlags) => runCommand(() => convert(from, to, flags)));
}

async function convert(from: string, to: string, flags: FormFlags): Promise<number> {
  const lora = await loadLora(from);
  warnUnmatched(from, lora.unmatched);
  await saveLora(to, lora, { form: flags.form, dtype: dtypeOf(flags), metadata: keptMetadata(lora.metadata) });
  process.stdout.write(`${to}: ${lora.modules.length + lora.changes.length} layers in ${flags.form}'s form\n`);
  return 0;
}

/** A header without what described the old file's bytes. */
export function keptMetadata(metadata: Readonly<Record<string, string>>): Record<string, string> {
  const stale = /^(sshs_|format$|lora_adapter_metadata$|modelspec\.hash_)/;
  return Object.fromEntries(Object.entries(metadata).filter(([key]) => !stale.test(key)));
}
