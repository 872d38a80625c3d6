/**
 * The precision part: what it does to a training that weights are kept as int8. The same run of the demo model (same seed, so the same
 * pictures, timesteps and noise at every step) with f16 weights and with int8.
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

type Precision = TrainOptions['weightsPrecision'];

export interface CurveReport {
  readonly losses: readonly number[];
  /** Of the run with f16 weights. */
  readonly expected: readonly number[];
  /** Largest difference of the curves, each the mean of the last `smoothing` steps, as a share of the f16 run's. */
  readonly curve: number;
  /** Mean and largest difference of a single step's loss. */
  readonly meanStep: number;
  readonly worstStep: number;
}

/** What we promise of {@link CurveReport.curve}. */
const mostApart = 0.02;

/** Steps that a loss curve is averaged over before it is compared: single losses differ tenfold with their timesteps. */
const smoothing = 20;

export async function benchPrecision(
  steps: number,
  onStep: (weights: Precision, step: number, loss: number) => void,
): Promise<CurveReport> {
  const expected = await lossesOf('f16', steps, (step, loss) => onStep('f16', step, loss));
  const losses = await lossesOf('int8', steps, (step, loss) => onStep('int8', step, loss));
  return { losses, expected, ...compareCurves(losses, expected) };
}

async function lossesOf(
  weightsPrecision: Precision,
  steps: number,
  onStep: (step: number, loss: number) => void,
): Promise<number[]> {
  const model = await openDiffusionModel(await folderTree(demoModel));
  const { images } = await openTrainingFolder(pictures);
  const { rank, alpha, learningRate, seed } = presets.demoStyle;
  const losses: number[] = [];
  const options: TrainOptions = {
    ...defaultTrainOptions,
    weightsPrecision,
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

export function curveTable({ curve, meanStep, worstStep, losses, expected }: CurveReport): string {
  const percent = (share: number): string => `${(share * 100).toFixed(3)} %`;
  return formatTable(
    ['curves apart by', 'at most', 'a step, mean', 'a step, worst', 'last loss, int8', 'f16'],
    [
      [
        percent(curve),
        percent(mostApart),
        percent(meanStep),
        percent(worstStep),
        losses.at(-1)!.toFixed(5),
        expected.at(-1)!.toFixed(5),
      ],
    ],
  );
}
