/** `npm run bench [PART]`: what our kernels, one training step and one full-size step cost. docs/benchmarks.md explains it. */
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { Argument, Command, Option } from 'commander';
import { runCommand } from '../src/cli/exit.ts';
import { real, whole } from '../src/cli/options.ts';
import { LoratoryError } from '../src/core/errors.ts';
import { prepareHalfPrecision } from '../src/gpu/kernels/matrixCheck.ts';
import type { Precision } from '../src/gpu/precision.ts';
import { stopRuntime } from '../src/gpu/runtime.ts';
import type { Comparison } from './compare.ts';
import { describeGpu, type BenchGpu } from './gpu.ts';
import { benchHot, ceilingsLine, hotMarkdown, hotTable, type HotReport } from './hot.ts';
import { benchKernels, kernelTable } from './kernels.ts';
import { benchLoading, type LoadingReport, loadingTable } from './loading.ts';
import { benchModel, modelMarkdown, modelTable, type ModelReport } from './model.ts';
import { benchMemory, memoryTable, type MemoryReport } from './memory.ts';
import { openNodeGpu } from './nodeGpu.ts';
import { benchShortcuts, shortcutTable, type ShortcutReport } from './shortcuts.ts';
import { benchStep } from './step.ts';
import { histogram, stepTable } from './stepTable.ts';
import { benchPrecision, curveTable, type CurveReport } from './precision.ts';
import type { StepReport } from './trainingStep.ts';

type Part = 'hot' | 'model' | 'kernels' | 'step' | 'memory' | 'loading' | 'precision' | 'shortcuts';

interface Flags {
  readonly json?: string;
  readonly markdown?: string;
  readonly scale?: number;
  readonly full?: true;
  readonly only?: string;
  readonly precision: Precision | 'both';
  readonly verbose?: true;
  readonly tune?: true;
  readonly steps: number;
  readonly model?: string;
}

/** Everything measured, as `--json` writes it. */
interface Report {
  gpu?: string;
  scale?: number;
  hot?: HotReport;
  model?: ModelReport;
  kernels?: Comparison[];
  /** The same with products in f16, and what computes these. */
  f16?: { computedBy?: string; hot?: HotReport; model?: ModelReport; kernels?: Comparison[] };
  step?: StepReport;
  memory?: MemoryReport;
  loading?: LoadingReport[];
  precision?: CurveReport;
  shortcuts?: ShortcutReport[];
}

/** The same for the whole model, whose cost grows with the fourth power. */
const softwareModelScale = 0.25;

/** Sizes times this on a software GPU, so that all takes about two minutes on SwiftShader, the slower one. */
const softwareScale = 0.375;

/** The parts that are measured in each precision, into `report`. */
async function benchParts(
  gpu: BenchGpu,
  wants: (name: Part) => boolean,
  scale: number,
  flags: Flags,
  precision: Precision,
  report: Pick<Report, 'hot' | 'model' | 'kernels'>,
): Promise<void> {
  const options = {
    scale,
    precision,
    ...(flags.only ? { only: flags.only } : {}),
    onCase: (name: string) => void process.stderr.write(`  ${name}\n`),
  };
  if (wants('hot')) {
    report.hot = await benchHot(gpu, options);
    print(`\nHot kernels at ${scale} of SD1.5's sizes. ${ceilingsLine(report.hot.ceilings)}\n${hotTable(report.hot)}`);
  }
  if (wants('model')) {
    const modelScale = flags.full ? 1 : (flags.scale ?? (gpu.runtime.opened.isSoftware ? softwareModelScale : 1));
    const mixedPrecision = precision === 'f16' ? 'fp16' : 'no';
    report.model = await benchModel(gpu, { ...options, scale: modelScale, mixedPrecision });
    print(`\nSD1.5 at ${modelScale} of its size. ${ceilingsLine(report.model.ceilings)}\n${modelTable(report.model)}`);
  }
  if (wants('kernels')) {
    report.kernels = await benchKernels(options);
    print(
      `\nKernels at ${scale} of SD1.5's sizes; our weights are f16, tfjs' the same numbers as f32.\n${kernelTable(report.kernels)}`,
    );
  }
}

async function bench(part: Part | undefined, flags: Flags): Promise<number> {
  const wants = (name: Part): boolean => part === undefined || part === name;
  const report: Report = {};
  if (wants('hot') || wants('model') || wants('kernels') || wants('step')) {
    const gpu = await openNodeGpu(flags.tune ? 'always' : 'usual');
    try {
      report.gpu = describeGpu(gpu.runtime);
      print(`GPU: ${report.gpu}`);
      const scale = flags.full ? 1 : (flags.scale ?? (gpu.runtime.opened.isSoftware ? softwareScale : 1));
      report.scale = scale;
      const precisions = flags.precision === 'both' ? (['f32', 'f16'] as const) : [flags.precision];
      for (const precision of precisions) {
        if (precision === 'f16' && flags.precision === 'both' && !gpu.runtime.shaderF16) {
          print('\nNothing in f16: this GPU has no shader-f16.');
          continue;
        }
        if (precision === 'f16') {
          const { computedBy } = await prepareHalfPrecision();
          report.f16 = { computedBy };
          print(`\nProducts in f16, computed by ${computedBy}.`);
        }
        await benchParts(gpu, wants, scale, flags, precision, precision === 'f16' ? report.f16! : report);
      }
      if (wants('step')) {
        report.step = await benchStep(gpu);
        print(`\nTiny model: ${stepTable(report.step)}`);
        if (flags.verbose) print(`\n${histogram(report.step)}`);
      }
    } finally {
      stopRuntime();
    }
  }
  if (wants('memory')) {
    report.memory = await inChild<MemoryReport>('memory-report');
    print(`\nMemory and dispatches, on the null backend\n${memoryTable(report.memory)}`);
    if (flags.verbose) print(`\n${histogram(report.memory.training[0]!.report)}`);
  }
  // Not part of everything: it needs a model's folder.
  if (part === 'loading') {
    if (flags.model === undefined) throw new MissingModelError();
    report.loading = await inChild<LoadingReport[]>('loading-report', flags.model);
    print(`\nJavaScript's memory while a model is loaded\n${loadingTable(report.loading)}`);
  }
  // Not part of everything: it trains for many minutes on a software GPU.
  if (part === 'precision') {
    await openNodeGpu();
    try {
      report.precision = await benchPrecision(flags.steps, (weights, step, loss) =>
        process.stderr.write(`  ${weights}, step ${step}: ${loss.toFixed(5)}\n`),
      );
    } finally {
      stopRuntime();
    }
    print(`\n${flags.steps} steps of the demo model, int8 weights against f16\n${curveTable(report.precision)}`);
  }
  // Not part of everything: it draws 35 pictures.
  if (part === 'shortcuts') {
    const gpu = await openNodeGpu();
    report.gpu = describeGpu(gpu.runtime);
    try {
      report.shortcuts = await benchShortcuts(gpu.dispatches, 20, (name) => process.stderr.write(`  ${name}\n`));
    } finally {
      stopRuntime();
    }
    print(`\nGPU: ${report.gpu}\n5 pictures of 20 steps each\n${shortcutTable(report.shortcuts)}`);
  }
  if (flags.markdown) await writeFile(flags.markdown, markdown(report));
  if (flags.json) await writeFile(flags.json, `${JSON.stringify(report, null, 2)}\n`);
  return 0;
}

/** What docs/benchmarks.md wants of it. */
function markdown({ gpu = '', scale = 1, f16, ...f32 }: Report): string {
  const tables = ({ hot, model }: Pick<Report, 'hot' | 'model'>, suffix: string): string[] => [
    ...(model
      ? [`### SD1.5 as a whole${suffix}, scale ${model.scale}`, ceilingsLine(model.ceilings), modelMarkdown(model)]
      : []),
    ...(hot ? [`### Hot kernels${suffix}, scale ${scale}`, ceilingsLine(hot.ceilings), hotMarkdown(hot)] : []),
  ];
  const half = f16 ? [`Products in f16, computed by ${f16.computedBy}.`, ...tables(f16, ', f16')] : [];
  return `${[gpu, ...tables(f32, ''), ...half].join('\n\n')}\n`;
}

/** A process can open one kind of GPU only, so the null backend gets one of its own. */
async function inChild<T>(...command: string[]): Promise<T> {
  const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', process.argv[1]!, ...command]);
  return JSON.parse(stdout) as T;
}

class MissingModelError extends LoratoryError {
  readonly code = 'missing-model';

  constructor() {
    super(
      'There is no model to load.',
      'Name its folder by --model; npm run fullsize -- DIR --steps 0 writes one of full size.',
    );
  }
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
        new Argument('[part]', 'what to measure; everything but loading, precision and shortcuts if left out').choices([
          'hot',
          'model',
          'kernels',
          'step',
          'memory',
          'loading',
          'precision',
          'shortcuts',
        ]),
      )
      .option('--json <file>', 'write all numbers as JSON')
      .option('--markdown <file>', 'write the tables of hot and model as Markdown')
      .option(
        '--scale <n>',
        `hot, model, kernels: sizes as a share of SD1.5's at 512 px, a multiple of 1/8 (${softwareScale}, model ${softwareModelScale}, on a software GPU, else 1)`,
        real,
      )
      .option('--full', 'hot, model, kernels: the same as --scale 1')
      .option('--only <text>', 'hot, kernels: only those whose name contains this')
      .addOption(
        new Option('--precision <name>', 'hot, model, kernels: of products with weights; both: f32 first')
          .choices(['f32', 'f16', 'both'])
          .default('f32'),
      )
      .option('--model <dir>', 'loading: a folder that npm run fullsize has written')
      .option('--steps <n>', 'precision: training steps', whole, 200)
      .option('--tune', 'choose tiles by timing on a software GPU, too')
      .option('--verbose', 'step and memory: how often each kernel runs')
      .action((part: Part | undefined, flags: Flags) => runCommand(() => bench(part, flags))),
    { isDefault: true },
  )
  .addCommand(
    new Command('loading-report').argument('<folder>').action((folder: string) =>
      runCommand(async () => {
        print(JSON.stringify(await benchLoading(folder)));
        return 0;
      }),
    ),
    { hidden: true },
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
