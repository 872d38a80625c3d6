/**
 * One optimizer step of training, as diffusers' `train_text_to_image_lora.py` and kohya's `train_network.py` do it: for each batch of the
 * step the model's answer, its loss, gradients; then clip, update, average.
 */
import type { ParameterGroup, TrainableAdapter } from '../adapter/trainable.ts';
import { defined } from '../core/invariant.ts';
import type { LossKind, TrainOptions } from '../core/trainOptions.ts';
import {
  averageWeights,
  copyValues,
  diffusionLoss,
  gradientNorm,
  readTensor,
  tensor,
  type Tensor,
} from '../gpu/ops.ts';
import { precisionOf, withPrecision } from '../gpu/precision.ts';
import type { ClipTextEncoder } from '../models/clip.ts';
import type { UNet2DCondition } from '../models/unet.ts';
import { planKept, type SegmentCosts } from '../nn/segmentPlan.ts';
import { checkpointedGradients, runSegments, type Segment } from '../nn/segments.ts';
import type { NoisyBatch } from './batch.ts';
import { FlatParameters } from './flatParameters.ts';
import { lossScaleOf } from './lossScale.ts';
import { Optimizer } from './optimizer.ts';
import { bytesOf, restoreBytes, type StateBuffer, type TrainerState } from './trainerState.ts';

export type TrainerOptions = Pick<
  TrainOptions,
  | 'optimizer'
  | 'maxGradNorm'
  | 'emaDecay'
  | 'loss'
  | 'maskedLoss'
  | 'clipSkip'
  | 'dropout'
  | 'mixedPrecision'
  | 'activationMemory'
>;

export interface StepResult {
  /** False if a loss or the gradients' norm was not finite: then nothing was changed, and the same step would fail again. */
  readonly applied: boolean;
  /** The weighted mean loss of each batch, and their mean. */
  readonly losses: readonly number[];
  readonly loss: number;
  /** For each batch, the loss of each of its examples before any weighting. */
  readonly exampleLosses: readonly (readonly number[])[];
  /** For each batch, what the model answered, [N, h, w, c]. */
  readonly predictions: readonly Float32Array[];
  /** Euclidean norm of all gradients together, before clipping. */
  readonly gradientNorm: number;
}

/** What is trained is plugged into these. */
export interface TrainedModel {
  readonly unet: UNet2DCondition;
  /** Only where it is trained too: then batches bring token ids. */
  readonly textEncoder?: ClipTextEncoder;
  /** For dropout, without which it is not needed. */
  readonly adapter?: Pick<TrainableAdapter, 'withDropout'>;
}

/** Trains an adapter that is plugged into a model. Owns the optimizer's state, the average and copies of the parameters. */
export class LoraTrainer {
  private readonly segments: readonly Segment[];
  private readonly parameters: readonly Tensor[];
  private readonly flat: FlatParameters;
  private readonly optimizer: Optimizer;
  private readonly average: readonly Tensor[];
  /** Segments that are not run twice, for each shape of batches: known after the first of that shape. */
  private readonly kept = new Map<string, ReadonlySet<string>>();

  constructor(
    private readonly model: TrainedModel,
    groups: readonly ParameterGroup[],
    private readonly options: TrainerOptions,
  ) {
    const { unet, textEncoder } = model;
    const { loss, maskedLoss, clipSkip, optimizer, emaDecay } = options;
    this.segments = [
      ...(textEncoder ? textEncoder.segments({ clipSkip }) : []),
      ...withLoss(unet.segments(), { kind: loss.kind, masked: maskedLoss }),
    ];
    this.parameters = groups.flatMap((group) => group.parameters);
    this.flat = new FlatParameters(
      this.parameters,
      groups.flatMap(({ parameters, multiplier }) => parameters.map(() => multiplier)),
      // Of all optimizers Adafactor alone knows rows and columns: to it, packed q, k and v are three matrices.
      optimizer.name === 'adafactor' ? groups.flatMap(({ stacked }) => stacked) : undefined,
    );
    this.optimizer = Optimizer.create(this.flat, optimizer);
    this.average = emaDecay === null ? [] : this.flat.copyOfValues();
  }

  /** Optimizer steps that were applied. */
  get steps(): number {
    return this.optimizer.steps;
  }

  /** One optimizer step on `batches`, whose gradients are averaged. */
  async step(batches: readonly NoisyBatch[], learningRate: number): Promise<StepResult> {
    return (await this.record(batches, learningRate)).result;
  }

  /**
   * The same, but resolves as soon as all commands are recorded, so that the next step can be recorded while the GPU computes. A step that follows
   * one that is not applied is computed from a wrong count of steps: whoever runs ahead restores a state then.
   */
  async record(
    batches: readonly NoisyBatch[],
    learningRate: number,
  ): Promise<{ readonly result: Promise<StepResult> }> {
    const sizes = batches.map(({ shape: [n] }) => n);
    const report = tensor(new Float32Array(2 + sum(sizes)), [2 + sum(sizes)]);
    const answers: Tensor[] = [];
    const scale = this.options.mixedPrecision === 'fp16' ? lossScaleOf(batches) : 1;
    let at = 2;
    // Without a text encoder nothing is awaited until all is recorded.
    const tokens = this.model.textEncoder ? await embed(this.model.textEncoder, batches) : null;
    for (const [i, batch] of batches.entries()) {
      const inputs = this.inputsOf(batch, tokens?.[i]);
      const share = tensor(
        batch.weights.map((weight) => (scale * weight) / (sizes[i]! * batches.length)),
        [sizes[i]!],
      );
      const shape = [...batch.shape, ...batch.contextShape].join();
      const kept = this.kept.get(shape);
      const costs: SegmentCosts = new Map();
      const { parameters, outputs } = this.inPrecision(() =>
        this.withDropout(batch, () =>
          checkpointedGradients(this.segments, inputs, this.parameters, {
            loss: 'loss',
            one: share,
            costs,
            ...(kept ? { kept } : {}),
          }),
        ),
      );
      if (!kept) this.kept.set(shape, planKept(costs, this.options.activationMemory * 1e6));
      this.flat.gather(parameters, i > 0);
      copyValues(defined(outputs.get('loss')), report, { to: at, count: sizes[i]! });
      at += sizes[i]!;
      answers.push(defined(outputs.get('out')));
      for (const t of [...inputs.values(), ...parameters, share, outputs.get('loss')]) t?.dispose();
    }
    gradientNorm(
      this.flat.pages.map((page) => page.gradients),
      report,
      this.options.maxGradNorm,
      scale,
    );
    const update = this.optimizer.step(learningRate, report);
    this.average.forEach((average, i) => averageWeights(average, this.flat.pages[i]!.values, report, this.decay()));
    this.flat.push();

    update.count();

    const finish = async (): Promise<StepResult> => {
      const [values, ...predictions] = await Promise.all([report, ...answers].map((t) => readTensor(t)));
      for (const t of [report, ...answers]) t.dispose();
      const [factor = 0, norm = 0, ...losses] = defined(values);
      if (factor === 0) update.revoke();
      return { applied: factor !== 0, ...lossesOf(batches, losses), predictions, gradientNorm: norm };
    };
    return { result: finish() };
  }

  /** The loss of each example of a batch, before any weighting; nothing is changed. */
  async validationLoss(batch: NoisyBatch): Promise<number[]> {
    const tokens = this.model.textEncoder ? await embed(this.model.textEncoder, [batch]) : null;
    const inputs = this.inputsOf(batch, tokens?.[0]);
    const loss = this.inPrecision(() => runSegments(this.segments, inputs, 'loss'));
    const values = await readTensor(loss);
    for (const t of [loss, ...inputs.values()]) t.dispose();
    return Array.from(values);
  }

  /** Runs `f` with the averaged weights in the model, where there is an average: for samples, validation and the export. */
  async withAverage<T>(f: () => Promise<T>): Promise<T> {
    if (this.average.length > 0) this.flat.push(this.average);
    try {
      return await f();
    } finally {
      if (this.average.length > 0) this.flat.push();
    }
  }

  /** Everything that a step changes, bit for bit: for a checkpoint. */
  async readState(): Promise<TrainerState> {
    const state = new Map<string, StateBuffer>([['optimizer.steps', Int32Array.of(this.optimizer.steps)]]);
    for (const [name, t] of this.stateTensors()) {
      // Weights as floats, so that whoever stores them can see whether they are finite.
      state.set(name, name.startsWith('optimizer') ? await bytesOf(t) : Float32Array.from(await readTensor(t)));
    }
    return state;
  }

  /** Puts back what {@link readState} returned, of a trainer made alike: the next step is the one that followed then. */
  restoreState(state: TrainerState): void {
    for (const [name, t] of this.stateTensors()) restoreBytes(t, name, state);
    this.optimizer.steps = defined(state.get('optimizer.steps')?.[0], 'optimizer.steps');
    this.flat.push();
  }

  dispose(): void {
    this.flat.dispose();
    this.optimizer.dispose();
    for (const t of this.average) t.dispose();
  }

  private inPrecision<T>(compute: () => T): T {
    return withPrecision(precisionOf(this.options), compute);
  }

  private withDropout<T>({ dropoutDraw = 0 }: NoisyBatch, compute: () => T): T {
    const { adapter } = this.model;
    return adapter ? adapter.withDropout(this.options.dropout, dropoutDraw, compute) : compute();
  }

  private stateTensors(): (readonly [name: string, Tensor])[] {
    const named = (prefix: string, tensors: readonly Tensor[]): (readonly [string, Tensor])[] =>
      tensors.map((t, i) => [`${prefix}.${i}`, t] as const);
    return [
      ...named(
        'values',
        this.flat.pages.map((page) => page.values),
      ),
      ...named('optimizer', this.optimizer.buffers),
      ...named('average', this.average),
    ];
  }

  /** Of the step that comes after those that were applied. */
  private decay(): number {
    return averageDecay(this.options.emaDecay ?? 0, this.optimizer.steps);
  }

  /** What the segments read. `tokens`: the embedded captions, where the text encoder is trained. */
  private inputsOf(batch: NoisyBatch, tokens: Tensor | undefined): Map<string, Tensor> {
    const { shape, timesteps, deltas, mask } = batch;
    const [n, h, w] = shape;
    const inputs = new Map([
      ['sample', tensor(batch.noisy, shape)],
      ['target', tensor(batch.target, shape)],
      ['time', this.model.unet.embedTime(timesteps)],
      tokens ? ['tokens', tokens] : ['context', tensor(batch.context, batch.contextShape)],
    ]);
    if (this.options.loss.kind !== 'l2') inputs.set('deltas', tensor(deltas, [n]));
    if (this.options.maskedLoss) inputs.set('mask', tensor(mask ?? new Float32Array(n * h * w).fill(1), [n, h, w]));
    return inputs;
  }
}

/** Rising towards the decay that was asked for, as in diffusers' EMAModel: the first step's weights are the average, a young one follows. */
function averageDecay(asked: number, stepsBefore: number): number {
  return stepsBefore === 0 ? 0 : Math.min(asked, (1 + stepsBefore) / (10 + stepsBefore));
}

function embed(textEncoder: ClipTextEncoder, batches: readonly NoisyBatch[]): Promise<Tensor[]> {
  return Promise.all(batches.map(({ ids }) => textEncoder.embed(defined(ids, 'token ids'))));
}

/** Cuts the losses of all examples by batch. */
function lossesOf(
  batches: readonly NoisyBatch[],
  losses: readonly number[],
): Pick<StepResult, 'loss' | 'losses' | 'exampleLosses'> {
  let at = 0;
  const exampleLosses = batches.map(({ shape: [n] }) => losses.slice(at, (at += n)));
  const means = batches.map(({ weights }, i) => {
    const own = exampleLosses[i]!;
    return sum(own.map((loss, j) => loss * weights[j]!)) / own.length;
  });
  return { losses: means, loss: sum(means) / means.length, exampleLosses };
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}

/** Extends the last segment, which writes `out`, by the loss of each example against `target`, [N], written as `loss`. */
export function withLoss(
  segments: readonly Segment[],
  { kind = 'l2', masked = false }: { readonly kind?: LossKind; readonly masked?: boolean } = {},
): Segment[] {
  const last = defined(segments.at(-1), 'last segment');
  const extra = ['target', ...(kind === 'l2' ? [] : ['deltas']), ...(masked ? ['mask'] : [])];
  const end: Segment = {
    name: `${last.name} and loss`,
    reads: [...last.reads, ...extra],
    writes: [...last.writes, 'loss'],
    parameters: () => last.parameters(),
    run: (inputs) => {
      const outputs = last.run(inputs.slice(0, last.reads.length));
      const given = new Map(extra.map((name, i) => [name, inputs[last.reads.length + i]!]));
      const loss = diffusionLoss(kind, {
        prediction: outputs[0]!,
        target: given.get('target')!,
        deltas: given.get('deltas') ?? null,
        mask: given.get('mask') ?? null,
      });
      return [...outputs, loss];
    },
  };
  return [...segments.slice(0, -1), end];
}
