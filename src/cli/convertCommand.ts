/** `loratory convert`: a LoRA in another form or precision. */
import { readFile } from 'node:fs/promises';
import { Command, InvalidArgumentError, Option } from 'commander';
import sharp from 'sharp';
import { keptMetadata } from '../export/header.ts';
import { FORM_NAMES, type LoraForm } from '../formats/lora/types.ts';
import { runCommand } from './exit.ts';
import { loadLora, saveLora, warnUnmatched } from './loraFiles.ts';
import { FileNotFoundError } from './nodeFiles.ts';

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

interface ConvertFlags extends FormFlags {
  readonly set: Readonly<Record<string, string>>;
  readonly thumbnail?: string;
}

/** Collects `KEY=VALUE`. */
function entry(text: string, before: Readonly<Record<string, string>> = {}): Record<string, string> {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('KEY=VALUE is wanted, e.g. modelspec.author=Me.');
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}

export function convertCommand(): Command {
  return withForm(
    new Command('convert')
      .description('Writes a LoRA in another form. Its header is kept.')
      .argument('<in>', 'a .safetensors file or a PEFT folder')
      .argument('<out>', 'the file to write (with --form peft: the folder)')
      .option('--set <key=value>', 'an entry of the header, e.g. modelspec.title=Cat (may be repeated)', entry, {})
      .option('--thumbnail <image>', 'a picture to show for it, kept in the header at 256 px'),
  ).action((from: string, to: string, flags: ConvertFlags) => runCommand(() => convert(from, to, flags)));
}

async function convert(from: string, to: string, flags: ConvertFlags): Promise<number> {
  const lora = await loadLora(from);
  warnUnmatched(from, lora.unmatched);
  const metadata = {
    ...keptMetadata(lora.metadata),
    ...flags.set,
    ...(flags.thumbnail === undefined ? {} : { 'modelspec.thumbnail': await thumbnailOf(flags.thumbnail) }),
  };
  await saveLora(to, lora, { form: flags.form, dtype: dtypeOf(flags), metadata });
  process.stdout.write(`${to}: ${lora.modules.length + lora.changes.length} layers in ${FORM_NAMES[flags.form]}\n`);
  return 0;
}

/** A picture as a data URL, as ModelSpec wants thumbnails. */
async function thumbnailOf(path: string): Promise<string> {
  const bytes = await readFile(path).catch(() => {
    throw new FileNotFoundError(path, 'picture');
  });
  const small = await sharp(bytes).autoOrient().resize(256, 256, { fit: 'cover' }).jpeg({ quality: 80 }).toBuffer();
  return `data:image/jpeg;base64,${small.toString('base64')}`;
}
