/** The two recipes of the report that Loratory was built for: what to start from. */
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

const common = { learningRate: 1e-4, trainBatchSize: 2, seed: 42, flipProbability: 0.5 } as const;

export const presets = {
  style: { rank: 4, alpha: 4, maxTrainSteps: 600, ...common },
  character: { rank: 8, alpha: 4, maxTrainSteps: 250, ...common },
} as const satisfies Readonly<Record<string, TrainPreset>>;
