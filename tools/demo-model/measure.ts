/**
 * `npm run demo:measure`: what the demo model can do, measured with Loratory's own engine. README.md beside this file says what each
 * number means. Writes measure.json and pictures to a folder, and a Markdown table for the model card to standard output.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { runCommand } from '../../src/cli/exit.ts';
import { folderTree } from '../../src/cli/nodeFiles.ts';
import { openNodeGpu } from '../../src/cli/nodeGpu.ts';
import { real, whole } from '../../src/cli/options.ts';
import { presets } from '../../src/core/presets.ts';
import { openDiffusionModel } from '../../src/models/repository.ts';
import { fidelityPrompts, measureFidelity } from './measureFidelity.ts';
import { loraNames, measureLora } from './measureLora.ts';
import { MeasureRun, type Sampling } from './measureRun.ts';
import { markdownTable, type Measurements } from './measureTable.ts';
import { measureVae } from './measureVae.ts';
import { styledCaption } from './styles.mjs';

const parts = ['vae', 'fidelity', 'lora'] as const;
type Part = (typeof parts)[number];

interface Flags {
  readonly model: string;
  readonly samples: string;
  readonly out: string;
  readonly plan?: string;
  readonly drawn?: string;
  readonly only: readonly Part[];
  readonly vae: number;
  readonly names: number;
  readonly loraNames: number;
  readonly steps: number;
  readonly guidance: number;
  readonly seed: number;
  readonly trainSteps: number;
  readonly sampleEvery: number;
  readonly rank: number;
  readonly lr: number;
  readonly batch: number;
}

function partList(text: string): Part[] {
  return text.split(',').map((name) => {
    const part = parts.find((known) => known === name);
    if (!part) throw new InvalidArgumentError(`The parts are ${parts.join(', ')}.`);
    return part;
  });
}

const recipe = presets.demoStyle;

/** What draw.py has to draw for `--drawn`. */
async function writePlan(flags: Flags, file: string): Promise<number> {
  const base = await loraNames(flags.samples, flags.loraNames);
  const plan = {
    sampling: samplingOf(flags),
    rows: {
      prompts: fidelityPrompts(flags.names),
      base,
      style: base.map((name) => styledCaption('pixel-art', name)),
    },
  };
  await writeFile(file, `${JSON.stringify(plan, null, 2)}\n`);
  return 0;
}

const samplingOf = ({ steps, guidance, seed }: Flags): Sampling => ({
  numInferenceSteps: steps,
  guidanceScale: guidance,
  seed,
});

async function measure(flags: Flags): Promise<number> {
  const model = await openDiffusionModel(await folderTree(flags.model));
  await mkdir(flags.out, { recursive: true });
  const { runtime, close } = await openNodeGpu();
  try {
    const { adapterInfo } = runtime.opened;
    const gpu = adapterInfo.description || adapterInfo.device || 'unnamed';
    const measured: Measurements = { model: flags.model, gpu, date: new Date().toISOString() };
    const sampling = samplingOf(flags);
    const run = new MeasureRun(model, flags.out, sampling, flags.drawn ?? null);
    run.say(`GPU: ${gpu}. Pictures of ${run.side} x ${run.side}.`);
    // Written after each part: the next one may take long.
    const keep = (): Promise<void> =>
      writeFile(join(flags.out, 'measure.json'), `${JSON.stringify({ ...measured, sampling }, null, 2)}\n`);
    if (flags.only.includes('vae')) measured.vae = await measureVae(run, flags.vae);
    await keep();
    if (flags.only.includes('fidelity')) measured.fidelity = await measureFidelity(run, flags.names);
    await keep();
    if (flags.only.includes('lora')) {
      const preset = {
        ...recipe,
        rank: flags.rank,
        alpha: flags.rank,
        learningRate: flags.lr,
        maxTrainSteps: flags.trainSteps,
        trainBatchSize: flags.batch,
      };
      const { samples, sampleEvery, loraNames: names } = flags;
      measured.lora = await measureLora(run, { preset, samples, sampleEvery, names });
    }
    await keep();
    for (const miss of measured.fidelity?.misses ?? []) {
      run.say(`"${miss.prompt}" (seed ${miss.seed}) is nearest to "${miss.nearest}"`);
    }
    process.stdout.write(`${markdownTable(measured)}\n`);
    return 0;
  } finally {
    close();
  }
}

await new Command('demo-measure')
  .description('Measures the demo model: its autoencoder, its pictures for prompts, and what a LoRA learns on it.')
  .option('--model <dir>', 'the model in diffusers layout', 'public/models/demo')
  .option('--samples <dir>', 'folder with the sample sets and index.json', 'public/samples')
  .option('--out <dir>', 'folder for measure.json and the pictures', '.cache/demo-model/measure')
  .option('--plan <file>', 'write what is to be drawn for --drawn, and end')
  .option('--drawn <dir>', 'score the pictures that draw.py has drawn by such a plan, rather than draw and train')
  .option('--only <parts>', `which of ${parts.join(',')}`, partList, [...parts])
  .option('--vae <n>', 'drawings to encode and decode', whole, 200)
  .option('--names <n>', 'names to draw for prompt fidelity', whole, 200)
  .option('--lora-names <n>', 'names to draw while a LoRA learns', whole, 20)
  .option('--steps <n>', 'denoising steps (DDIM)', whole, 20)
  .option('--guidance <n>', 'guidance scale', real, recipe.sampleGuidanceScale)
  .option('--seed <n>', 'seed of the first picture; the next ones follow', whole, 42)
  .option('--train-steps <n>', 'training steps of the LoRA', whole, recipe.maxTrainSteps)
  .option('--sample-every <n>', 'training steps between two rows of pictures', whole, 100)
  .option('--rank <n>', 'rank of the LoRA; its alpha is the same', whole, recipe.rank)
  .option('--lr <n>', 'learning rate of the LoRA', real, recipe.learningRate)
  .option('--batch <n>', 'pictures a training step', whole, recipe.trainBatchSize)
  .action((flags: Flags) =>
    runCommand(() => (flags.plan === undefined ? measure(flags) : writePlan(flags, flags.plan))),
  )
  .parseAsync();
