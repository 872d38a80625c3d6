/**
 * The precision part: what it does to a training that weights are kept as int8, and what lies between segments as halves. The same
 * run of the demo model (same seed, so the same pictures, timesteps and noise at every step) with each option, against f16 weights
 * and float32 activations; and the gradients of one step of the tiny model.
 */
import { fileURLToPath } from 'node:url';
import { openTrainingFolder } from '../src/cli/trainingFolder.ts';
import { folderTree } from '../src/cli/nodeFiles.ts';
import { presets } from '../src/core/presets.ts';
import { defaultTrainOptions, type TrainOptions } from '../src/core/trainOptions.ts';
import { openDiffusionModel } from '../src/models/repository.ts';
import { TrainControl } from '../src/session/control.ts';
import { trainLora } from '../src/session/training.ts';
import { formatTable } from './table.ts';

const demoModel = fileURLToPath(new URL('../public/models/demo', import.meta.url));
const pictures = fileURLToPath(new URL('../public/samples/ink', import.meta.url));

type Precision = Pick<TrainOptions, 'weightsPrecision' | 'activationsPrecision'>;

const plain: Precision = { weightsPrecision: 'f16', activationsPrecision: 'f32' };
const variants: readonly [name: string, precision: Precision][] = [
  ['int8 weights', { ...plain, weightsPrecision: 'int8' }],
  ['f16 activations', { ...plain, activationsPrecision: 'f16' }],
];

export interface CurveReport {
  readonly name: string;
  readonly losses: readonly number[];
  /** Largest difference of the curves, each the mean of the last `smoothing` steps, as a share of the plain run's. */
  readonly curve: number;
  /** Mean and largest difference of a single step's loss. */
  readonly meanStep: number;
  readonly worstStep: number;
}

/** Steps that a loss curve is averaged over before it is compared: single losses differ tenfold with their timesteps. */
const smoothing = 20;

export async function benchPrecision(
  steps: number,
  onStep: (name: string, step: number, loss: number) => void,
): Promise<CurveReport[]> {
  const expected = await lossesOf(plain, steps, (step, loss) => onStep('plain', step, loss));
  const reports: CurveReport[] = [];
  for (const [name, precision] of variants) {
    const losses = await lossesOf(precision, steps, (step, loss) => onStep(name, step, loss));
    reports.push({ name, losses, ...compareCurves(losses, expected) });
  }
  return reports;
}

async function lossesOf(
  precision: Precision,
  steps: number,
  onStep: (step: number, loss: number) => void,
): Promise<number[]> {
  const model = await openDiffusionModel(await folderTree(demoModel));
  const { images } = await openTrainingFolder(pictures);
  const { rank, alpha, learningRate, seed } = presets.demoStyle;
  const losses: number[] = [];
  const options: TrainOptions = {
    ...defaultTrainOptions,
    ...precision,
    rank,
    alpha,
    learningRate,
    seed,
    trainBatchSize: 1,
    maxTrainSteps: steps,
    resolution: 64,
  };
  await trainLora({ model, images, triggerWord: 'ink drawing', options }, new TrainControl(), {
    onStep: ({ globalStep, loss }) => {
      losses.push(loss);
      onStep(globalStep, loss);
    },
  });
  return losses;
}

/** See {@link CurveReport}. */
export function compareCurves(
  losses: readonly number[],
  expected: readonly number[],
): Pick<CurveReport, 'curve' | 'meanStep' | 'worstStep'> {
  const apart = (a: readonly number[], b: readonly number[]): number[] => a.map((v, i) => Math.abs(v - b[i]!) / b[i]!);
  const single = apart(losses, expected);
  return {
    curve: Math.max(...apart(smooth(losses), smooth(expected))),
    meanStep: single.reduce((a, b) => a + b, 0) / single.length,
    worstStep: Math.max(...single),
  };
}

function smooth(losses: readonly number[]): number[] {
  const window = Math.min(smoothing, losses.length);
  return Array.from({ length: losses.length - window + 1 }, (_, i) => {
    const part = losses.slice(i, i + window);
    return part.reduce((a, b) => a + b, 0) / window;
  });
}

export function curveTable(reports: readonly CurveReport[]): string {
  const percent = (share: number): string => `${(share * 100).toFixed(3)} %`;
  return formatTable(
    ['kept as', 'curves apart by', 'a step, mean', 'a step, worst', 'last loss'],
    reports.map(({ name, curve, meanStep, worstStep, losses }) => [
      name,
      ...[curve, meanStep, worstStep].map(percent),
      losses.at(-1)!.toFixed(5),
    ]),
  );
}
