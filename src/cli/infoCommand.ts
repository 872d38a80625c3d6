/** `loratory info`: what is in a safetensors file, a LoRA above all, and which tools take it. */
import { Command } from 'commander';
import { describeLora } from '../export/describe.ts';
import { checkTools } from '../export/toolCheck.ts';
import { sd15ModuleNames, sd15Modules } from '../models/adaptable.ts';
import { runCommand } from './exit.ts';
import { openLora } from './loraFiles.ts';

export function infoCommand(): Command {
  return new Command('info')
    .description('Shows what a LoRA (or any safetensors) file holds, and which tools take it.')
    .argument('<file>', 'a .safetensors file or a PEFT folder')
    .option('--json', 'print JSON')
    .action((file: string, { json }: { json?: boolean }) => runCommand(() => info(file, json ?? false)));
}

async function info(path: string, json: boolean): Promise<number> {
  for (const { file, adapterConfig } of await openLora(path)) {
    const description = await describeLora(file, sd15ModuleNames(), adapterConfig ? { adapterConfig } : {});
    const tools = await checkTools(file, sd15Modules());
    if (json) {
      const all = { ...description, tools, metadata: file.metadata, ...(adapterConfig ? { adapterConfig } : {}) };
      process.stdout.write(`${JSON.stringify(all, null, 2)}\n`);
      continue;
    }
    const { blocks, ...plain } = description;
    const facts = Object.entries(plain)
      .filter(([, value]) => value !== null && !(Array.isArray(value) && value.length === 0))
      .map(([key, value]) => `${key.padEnd(18)} ${shown(value)}`);
    const parts = blocks.map(
      ({ block, layers, ranks, norm }) =>
        `  ${block.padEnd(14)} ${String(layers).padStart(3)} layers  rank ${shown(ranks)}  norm ${shown(norm)}`,
    );
    const verdicts = tools.map(({ tool, takes, reason }) => `  ${tool.padEnd(10)} ${takes.padEnd(7)} ${reason}`);
    const metadata = Object.entries(file.metadata).map(([key, value]) => `  ${key} = ${readable(value)}`);
    const config = Object.entries(adapterConfig ?? {}).map(([key, value]) => `  ${key} = ${JSON.stringify(value)}`);
    const lines = [
      ...facts,
      ...(parts.length === 0 ? [] : ['blocks', ...parts]),
      'tools',
      ...verdicts,
      'metadata',
      ...(metadata.length === 0 ? ['  none'] : metadata),
      ...(config.length === 0 ? [] : ['adapter_config.json', ...config]),
    ];
    process.stdout.write(`${printable(lines.join('\n'))}\n`);
  }
  return 0;
}

/** A file's texts must not command the terminal. */
export function printable(text: string): string {
  return text.replaceAll(/[^\P{Cc}\n\t]/gu, '\u{fffd}');
}

function shown(value: unknown): string {
  if (Array.isArray(value))
    return value.length > 20 ? `${value.slice(0, 20).join(', ')}, ... (${value.length})` : value.join(', ');
  return typeof value === 'number' && !Number.isInteger(value) ? value.toPrecision(6) : String(value);
}

/** A header's entry: records (tag frequency, bucket info) in lines, pictures by their size. */
function readable(value: string): string {
  if (value.startsWith('data:')) return `${value.slice(0, 40)}… (${value.length} characters)`;
  if (!/^[[{]/.test(value)) return value;
  try {
    return JSON.stringify(JSON.parse(value), null, 2).replaceAll('\n', '\n    ');
  } catch {
    return value;
  }
}
