/** What to start a training from: the two recipes of the report that Loratory was built for, and their like for the demo model. */
import { demoModel } from './demoModel.ts';

export interface TrainPreset {
  readonly rank: number;
  readonly alpha: number;
  readonly maxTrainSteps: number;
  readonly learningRate: number;
  readonly trainBatchSize: number;
  readonly seed: number;
  /** Chance of a horizontal flip, 0..1. */
  readonly flipProbability: number;
}

interface WatchedPreset extends TrainPreset {
  /** Steps between sample grids. */
  readonly sampleEvery: number;
}

/** What is to be learnt: a look, or one person, pet or thing. */
export type PresetKind = 'style' | 'character';

const common = { learningRate: 1e-4, trainBatchSize: 2, seed: 42, flipProbability: 0.5, sampleEvery: 100 } as const;

/** To be told apart, no two presets may be alike. The demo model is a hundredth of SD 1.5's size: it takes far larger steps, and fewer. */
const demo = { learningRate: 1e-3, trainBatchSize: 4, seed: 42, flipProbability: 0, sampleEvery: 50 } as const;

export const presets = {
  style: { rank: 4, alpha: 4, maxTrainSteps: 600, ...common },
  character: { rank: 8, alpha: 4, maxTrainSteps: 250, ...common },
  demoStyle: { rank: 8, alpha: 8, maxTrainSteps: 300, ...demo },
  demoCharacter: { rank: 8, alpha: 8, maxTrainSteps: 200, ...demo },
} as const satisfies Readonly<Record<string, WatchedPreset>>;

export type PresetName = keyof typeof presets;

/** The preset of that kind for a model: the demo model has its own, every other is taken for one like SD 1.5. */
export function presetNameFor(modelId: string | null, kind: PresetKind): PresetName {
  if (modelId !== demoModel.id) return kind;
  return kind === 'style' ? 'demoStyle' : 'demoCharacter';
}
