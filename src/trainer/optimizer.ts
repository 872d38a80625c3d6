/**
 * The optimizers by name: each changes the pages of {@link FlatParameters} in place. A step is recorded before it is known whether
 * it will be applied (the GPU decides, see gradientNorm.ts): it counts at once, so that the next one can be recorded, and `revoke` takes it back.
 */
import type { OptimizerOptions } from '../core/trainOptions.ts';
import {
  adafactorStep,
  adamw8bitStep,
  adamwStep,
  createAdafactorState,
  createAdamW8bitState,
  createProdigyState,
  lionStep,
  prodigyStep,
  tensor,
  type StepReport,
  type Tensor,
} from '../gpu/ops.ts';
import type { FlatParameters } from './flatParameters.ts';

/** What makes one optimizer. */
interface Method {
  /** What it remembers. */
  readonly buffers: readonly Tensor[];
  /** What it has besides, and no step changes. */
  readonly tables?: readonly Tensor[];
  /** Records step number `step`, from 1. */
  record(learningRate: number, step: number, report: StepReport): void;
  /** Leaves out steps whose rate is 0, and does not count them. */
  readonly skipsRateZero?: boolean;
}

export interface RecordedUpdate {
  /** Counts it, before it is known whether it was applied. */
  count(): void;
  /** Says that it was not. */
  revoke(): void;
}

export class Optimizer {
  /** Steps that were applied, so far as is known. */
  steps = 0;

  private constructor(private readonly method: Method) {}

  static create(parameters: FlatParameters, options: OptimizerOptions): Optimizer {
    return new Optimizer(methods[options.name](parameters, options));
  }

  /** What it remembers besides the number of steps, for a checkpoint. */
  get buffers(): readonly Tensor[] {
    return this.method.buffers;
  }

  /** Records one update of the parameters. */
  step(learningRate: number, report: StepReport): RecordedUpdate {
    const counted = Number(learningRate > 0 || this.method.skipsRateZero !== true);
    this.method.record(learningRate, this.steps + 1, report);
    return {
      count: () => {
        this.steps += counted;
      },
      revoke: () => {
        this.steps -= counted;
      },
    };
  }

  dispose(): void {
    for (const t of [...this.method.buffers, ...(this.method.tables ?? [])]) t.dispose();
  }
}

/** For each page, a state of zeros with so many floats a value. */
function zeros({ pages }: FlatParameters, perValue: number): Tensor[] {
  return pages.map(({ values: { size } }) => tensor(new Float32Array(perValue * size), [perValue * size]));
}

const methods: Readonly<
  Record<OptimizerOptions['name'], (parameters: FlatParameters, options: OptimizerOptions) => Method>
> = {
  adamw: (parameters, options) => {
    const buffers = zeros(parameters, 2);
    return {
      buffers,
      record: (learningRate, step, report) =>
        parameters.pages.forEach((page, i) => {
          adamwStep(page, buffers[i]!, report, { ...options, learningRate, step });
        }),
    };
  },
  adamw8bit: (parameters, options) => {
    const buffers = parameters.pages.map((page) => createAdamW8bitState(page));
    return {
      buffers,
      record: (learningRate, step, report) =>
        parameters.pages.forEach((page, i) => {
          adamw8bitStep(page, buffers[i]!, report, { ...options, learningRate, step });
        }),
    };
  },
  lion: (parameters, options) => {
    const buffers = zeros(parameters, 1);
    return {
      buffers,
      record: (learningRate, _step, report) =>
        parameters.pages.forEach((page, i) => {
          lionStep(page, buffers[i]!, report, { ...options, learningRate });
        }),
    };
  },
  prodigy: (parameters, options) => {
    const state = createProdigyState(parameters.pages, options.initialD);
    return {
      buffers: [...state.moments, state.scalars],
      record: (learningRate, step, report) =>
        prodigyStep(parameters.pages, state, report, { ...options, learningRate, step }),
      skipsRateZero: true,
    };
  },
  adafactor: (parameters, options) => {
    const states = parameters.pages.map((page, i) => createAdafactorState(page, parameters.matrices[i]!, options));
    return {
      buffers: states.flatMap(({ means, momentum }) => [means, momentum]),
      tables: states.flatMap(({ lines, table }) => [lines, table]),
      record: (learningRate, step, report) =>
        parameters.pages.forEach((page, i) => {
          adafactorStep(page, states[i]!, report, { ...options, learningRate, step });
        }),
    };
  },
};
