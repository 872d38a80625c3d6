/** `loratory info`: what is in a safetensors file, a LoRA above all. */
import { Command } from 'commander';
import { describeLora } from '../formats/lora/describe.ts';
import { openSafetensors } from '../formats/safetensors.ts';
import { runCommand } from './exit.ts';
import { fileSource } from './nodeFiles.ts';

export function infoCommand(): Command {
  return new Command('info')
    .description('Shows what a LoRA (or any safetensors) file holds.')
    .argument('<file>', 'a .safetensors file')
    .option('--json', 'print JSON')
    .action((file: string, { json }: { json?: boolean }) => runCommand(() => info(file, json ?? false)));
}

async function info(path: string, json: boolean): Promise<number> {
  const file = await openSafetensors(await fileSource(path));
  const description = await describeLora(file);
  if (json) {
    process.stdout.write(`${JSON.stringify({ ...description, metadata: file.metadata }, null, 2)}\n`);
    return 0;
  }
  const lines = Object.entries(description).map(
    ([key, value]) => `${key.padEnd(14)} ${Array.isArray(value) ? value.join(', ') : String(value)}`,
  );
  const metadata = Object.entries(file.metadata).map(
    ([key, value]) => `  ${key} = ${value.length > 200 ? `${value.slice(0, 200)}…` : value}`,
  );
  process.stdout.write(`${lines.join('\n')}\nmetadata\n${metadata.length === 0 ? '  none' : metadata.join('\n')}\n`);
  return 0;
}
