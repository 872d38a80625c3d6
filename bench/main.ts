/** `npm run bench [PART]`: what our kernels, one training step and one full-size step cost. docs/benchmarks.md explains it. */
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { Argument, Command } from 'commander';
import { runCommand } from '../src/cli/exit.ts';
import { real } from '../src/cli/options.ts';
import { stopRuntime } from '../src/gpu/runtime.ts';
import type { Comparison } from './compare.ts';
import { describeGpu } from './gpu.ts';
import { benchHot, ceilingsLine, hotMarkdown, hotTable, type HotReport } from './hot.ts';
import { benchKernels, kernelTable } from './kernels.ts';
import { benchMemory } from './memory.ts';
import { openNodeGpu } from './nodeGpu.ts';
import { benchStep } from './step.ts';
import { histogram, stepTable } from './stepTable.ts';
import type { StepReport } from './trainingStep.ts';

type Part = 'hot' | 'kernels' | 'step' | 'memory';

interface Flags {
  readonly json?: string;
  readonly markdown?: string;
  readonly scale?: number;
  readonly full?: true;
  readonly only?: string;
  readonly verbose?: true;
}

/** Everything measured, as `--json` writes it. */
interface Report {
  gpu?: string;
  scale?: number;
  hot?: HotReport;
  kernels?: Comparison[];
  step?: StepReport;
  memory?: StepReport;
}

/** Sizes times this on a software GPU, so that all takes about two minutes on SwiftShader, the slower one. */
const softwareScale = 0.375;

async function bench(part: Part | undefined, flags: Flags): Promise<number> {
  const wants = (name: Part): boolean => part === undefined || part === name;
  const report: Report = {};
  const step = (title: string, result: StepReport): void => {
    print(`\n${title}: ${stepTable(result)}`);
    if (flags.verbose) print(`\n${histogram(result)}`);
  };
  if (wants('hot') || wants('kernels') || wants('step')) {
    const gpu = await openNodeGpu();
    try {
      report.gpu = describeGpu(gpu.runtime);
      print(`GPU: ${report.gpu}`);
      const scale = flags.full ? 1 : (flags.scale ?? (gpu.runtime.opened.isSoftware ? softwareScale : 1));
      report.scale = scale;
      const options = {
        scale,
        ...(flags.only ? { only: flags.only } : {}),
        onCase: (name: string) => void process.stderr.write(`  ${name}\n`),
      };
      if (wants('hot')) {
        report.hot = await benchHot(gpu, options);
        print(
          `\nHot kernels at ${scale} of SD1.5's sizes. ${ceilingsLine(report.hot.ceilings)}\n${hotTable(report.hot)}`,
        );
      }
      if (wants('kernels')) {
        report.kernels = await benchKernels(options);
        print(
          `\nKernels at ${scale} of SD1.5's sizes; our weights are f16, tfjs' the same numbers as f32.\n${kernelTable(report.kernels)}`,
        );
      }
      if (wants('step')) step('Tiny model', (report.step = await benchStep(gpu)));
    } finally {
      stopRuntime();
    }
  }
  if (wants('memory')) step('SD1.5 on the null backend', (report.memory = await memoryInChild()));
  if (flags.markdown) await writeFile(flags.markdown, markdown(report));
  if (flags.json) await writeFile(flags.json, `${JSON.stringify(report, null, 2)}\n`);
  return 0;
}

/** What docs/benchmarks.md wants of it. */
function markdown({ gpu = '', scale = 1, hot }: Report): string {
  if (!hot) return '';
  return `### Hot kernels, scale ${scale}\n\n${gpu}\n\n${ceilingsLine(hot.ceilings)}\n\n${hotMarkdown(hot)}\n`;
}

/** A process can open one kind of GPU only, so the null backend gets one of its own. */
async function memoryInChild(): Promise<StepReport> {
  const { stdout } = await promisify(execFile)(process.execPath, [process.argv[1]!, 'memory-report']);
  return JSON.parse(stdout) as StepReport;
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

await new Command('bench')
  .description('Measures kernels, a training step and the memory of a full-size training step.')
  .showHelpAfterError('(add --help for all options)')
  .addCommand(
    new Command('run')
      .addArgument(
        new Argument('[part]', 'what to measure; everything if left out').choices(['hot', 'kernels', 'step', 'memory']),
      )
      .option('--json <file>', 'write all numbers as JSON')
      .option('--markdown <file>', 'write the table of hot kernels as Markdown')
      .option(
        '--scale <n>',
        `hot, kernels: sizes as a share of SD1.5's at 512 px, a multiple of 1/8 (${softwareScale} on a software GPU, else 1)`,
        real,
      )
      .option('--full', 'hot, kernels: the same as --scale 1')
      .option('--only <text>', 'hot, kernels: only those whose name contains this')
      .option('--verbose', 'step and memory: how often each kernel runs')
      .action((part: Part | undefined, flags: Flags) => runCommand(() => bench(part, flags))),
    { isDefault: true },
  )
  .addCommand(
    new Command('memory-report').action(() =>
      runCommand(async () => {
        print(JSON.stringify(await benchMemory()));
        return 0;
      }),
    ),
    { hidden: true },
  )
  .parseAsync();
