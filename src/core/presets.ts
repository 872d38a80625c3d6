/**
 * What to start a training from: the two recipes of the report that Loratory was built for, their like for the demo model, and what
 * other trainers do when nobody tells them otherwise.
 */
import { demoModel } from './demoModel.ts';
import type { TrainOptions } from './trainOptions.ts';
import { completeTrainOptions } from './trainOptionsJson.ts';

/** Some of the options, each group possibly in part. */
export type TrainOptionsPatch = {
  readonly [K in keyof TrainOptions]?: TrainOptions[K] extends readonly unknown[]
    ? TrainOptions[K]
    : Partial<TrainOptions[K]>;
};

/** What is to be learnt: a look, or one person, pet or thing. */
export type PresetKind = 'style' | 'character';

const optionsOf = (patch: TrainOptionsPatch): TrainOptions => completeTrainOptions(patch);

const common = { learningRate: 1e-4, trainBatchSize: 2, seed: 42, flipProbability: 0.5, sampleEvery: 100 } as const;

/**
 * The demo model is a hundredth of SD 1.5's size: it takes far larger steps, and fewer. Its attentions alone are too small to hold
 * a look that lies in edges, so that all layers are adapted (tools/demo-model/README.md has the figures).
 */
const demo = {
  rank: 8,
  alpha: 8,
  convRank: 8,
  convAlpha: 8,
  targets: { attention: true, feedForward: true, projections: true, convolutions: true },
  learningRate: 1e-3,
  trainBatchSize: 4,
  seed: 42,
  flipProbability: 0,
  sampleEvery: 50,
  sampleGuidanceScale: 3,
} as const;

export const presets = {
  style: optionsOf({ rank: 4, alpha: 4, maxTrainSteps: 600, ...common }),
  character: optionsOf({ rank: 8, alpha: 4, maxTrainSteps: 250, ...common }),
  demoStyle: optionsOf({ maxTrainSteps: 300, ...demo }),
  demoCharacter: optionsOf({ maxTrainSteps: 200, ...demo }),
  /** kohya-ss/sd-scripts, train_network.py with networks.lora: the defaults of its arguments, LoRA on all of the transformers and the text encoder. */
  kohya: optionsOf({
    rank: 4,
    alpha: 1,
    convRank: 4,
    convAlpha: 1,
    targets: { attention: true, feedForward: true, projections: true },
    textEncoder: { train: true, learningRate: 2e-6 },
    learningRate: 2e-6,
    lrScheduler: { cycles: 1 },
    trainBatchSize: 1,
    maxTrainSteps: 1600,
    keepTokens: 0,
    buckets: { maxSide: 1024 },
    pyramidNoise: { discount: 0.3 },
    checkpoints: { keep: 0 },
    sampleInferenceSteps: 30,
    sampleEvery: 200,
  }),
  /** diffusers, examples/text_to_image/train_text_to_image_lora.py. */
  diffusers: optionsOf({
    rank: 4,
    alpha: 4,
    learningRate: 1e-4,
    lrScheduler: { warmupSteps: 500 },
    trainBatchSize: 16,
    maxTrainEpochs: 100,
    randomCrop: true,
    checkpoints: { everySteps: 500 },
    sampleInferenceSteps: 30,
    sampleEvery: 100,
  }),
  /** Nerogar/OneTrainer, training_presets/#sd 1.5 LoRA.json over the defaults of its TrainConfig. */
  oneTrainer: optionsOf({
    rank: 16,
    alpha: 1,
    convRank: 16,
    convAlpha: 1,
    targets: { attention: true, feedForward: true, projections: true, convolutions: true },
    textEncoder: { train: true, learningRate: 3e-4 },
    learningRate: 3e-4,
    lrScheduler: { name: 'constantWithWarmup', warmupSteps: 200, cycles: 1 },
    trainBatchSize: 4,
    maxTrainEpochs: 100,
    buckets: { enabled: true },
    flipProbability: 0.5,
    sampleEvery: 100,
  }),
} as const satisfies Readonly<Record<string, TrainOptions>>;

export type PresetName = keyof typeof presets;

export type TrainPreset = TrainOptions;

/** The preset of that kind for a model: the demo model has its own, every other is taken for one like SD 1.5. */
export function presetNameFor(modelId: string | null, kind: PresetKind): PresetName {
  if (modelId !== demoModel.id) return kind;
  return kind === 'style' ? 'demoStyle' : 'demoCharacter';
}

/** How closely this model's pictures follow the prompt unless told otherwise: so small a model over-saturates at SD 1.5's 7.5. */
export function guidanceScaleFor(modelId: string | null): number {
  return presets[presetNameFor(modelId, 'style')].sampleGuidanceScale;
}
