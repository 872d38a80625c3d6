/** One step of a training: which pictures, timesteps and noise, by (seed, step) alone; then the trainer's step with them. */
import { batchesOfStep } from '../core/epochs.ts';
import { defined } from '../core/invariant.ts';
import { learningRateAt } from '../core/learningRate.ts';
import type { PromptEmbedding } from '../latents/embeddings.ts';
import type { DiffusionModel } from '../models/repository.ts';
import { buildBatch, predictClean, type DiffusionSettings, type NoisyBatch } from '../trainer/batch.ts';
import { planBatch, type BatchEntry } from '../trainer/batches.ts';
import type { LoraTrainer } from '../trainer/trainer.ts';
import type { StripEntry } from '../worker/protocol.ts';
import type { Prepared } from './preparation.ts';
import type { StripPainter } from './strips.ts';
import type { RecordEntry } from './trainRecord.ts';

export interface StepParts {
  readonly model: DiffusionModel;
  readonly trainer: LoraTrainer;
  readonly prepared: Pick<Prepared, 'options' | 'plan' | 'examples' | 'imageIds' | 'embeddings'>;
  /** Resolves when the captions of batch number `batch` are encoded. */
  readonly captionsReady: (batch: number) => Promise<void>;
  readonly settings: DiffusionSettings;
  readonly strips: StripPainter;
}

export interface TrainedStep {
  readonly loss: number;
  readonly learningRate: number;
  /** False if loss or gradients overflowed: then nothing was changed. */
  readonly applied: boolean;
  readonly examples: readonly RecordEntry[];
  /** Pictures of the step's first batch; to be asked for before the next step. See {@link StripPainter.paint}. */
  readonly strip: (timed?: boolean) => Promise<StripEntry[]>;
}

/** A step whose commands are all with the GPU. */
export interface RecordedStep {
  readonly result: Promise<TrainedStep>;
}

/** Records the step after `globalStep` steps, at `learningRateFactor` times the learning rate of that step. */
export async function recordStep(
  { model, trainer, prepared, captionsReady, settings, strips }: StepParts,
  globalStep: number,
  learningRateFactor: number,
): Promise<RecordedStep> {
  const { options, plan, examples, imageIds, embeddings } = prepared;
  const { scalingFactor } = model.vaeConfig;
  const embeddingOf = (caption: string): PromptEmbedding => embeddings.get(caption);
  const planned: { readonly entries: readonly BatchEntry[]; readonly batch: NoisyBatch }[] = [];
  for (const number of batchesOfStep(plan, options.gradientAccumulationSteps, globalStep)) {
    await captionsReady(number);
    const entries = planBatch(plan, number);
    const batch = buildBatch(entries, examples, { ...options, batch: number, scalingFactor, settings, embeddingOf });
    planned.push({ entries, batch });
  }
  const learningRate = learningRateAt(options, globalStep) * learningRateFactor;
  const { result } = await trainer.record(
    planned.map(({ batch }) => batch),
    learningRate,
  );
  const trained = result.then(({ loss, applied, exampleLosses, predictions }): TrainedStep => ({
    loss,
    learningRate,
    applied,
    examples: planned.flatMap(({ entries }, i) =>
      entries.map(({ image, timestep }, j) => ({ image, timestep, loss: exampleLosses[i]![j]! })),
    ),
    strip: (timed) => {
      const { entries, batch } = defined(planned[0]);
      return strips.paint(entries, imageIds, batch, predictClean(batch, defined(predictions[0]), settings), timed);
    },
  }));
  return { result: trained };
}
