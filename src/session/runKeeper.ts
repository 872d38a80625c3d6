/**
 * A run as it is stored: written before its first step, with every checkpoint, with every line of its log, and at its end. Whenever
 * the page dies, what is stored is a run that can be gone on with.
 */
import { LoratoryError } from '../core/errors.ts';
import { defined } from '../core/invariant.ts';
import type { TrainOptions } from '../core/trainOptions.ts';
import { adapterFile } from '../export/runFile.ts';
import { trainingFactsOf } from '../export/trainingFacts.ts';
import type { RunStore } from '../storage/runStore.ts';
import { type Checkpoint, decodeCheckpoint, encodeCheckpoint } from '../trainer/checkpoint.ts';
import type { QueuedRun, RunEvent, RunEventKind, StoredRun, TrainRequest } from '../worker/protocol.ts';
import { stepsToKeep } from './checkpointPolicy.ts';
import { newestCheckpoint } from './resume.ts';
import type { CheckpointReport, TrainingEvents } from './training.ts';

/** A branch would change what its parent's state consists of. */
export class BranchOptionError extends LoratoryError {
  readonly code = 'branch-option';

  constructor(option: string, parent: string) {
    super(
      `A branch goes on with its parent’s adapter and optimizer, so ${option} must stay ${parent}.`,
      'Change other settings, or start a new run.',
      { option, parent },
    );
  }
}

export class RunKeeper {
  /** The last write; writes come one after the other, so that an older state never overwrites a newer one. */
  private writing: Promise<void> = Promise.resolve();

  private constructor(
    private readonly runs: RunStore,
    private stored: StoredRun,
    private asked: TrainRequest,
    private readonly onEvent: OnEvent,
    private readonly queued: QueuedRun | null = null,
  ) {}

  /** Stores a run that is to begin. `queued`: what waited in the queue as this run, which is taken out of it. Throws QueuedRunGoneError. */
  static async begin(
    runs: RunStore,
    request: TrainRequest,
    onEvent: OnEvent = () => {},
    queued: QueuedRun | null = null,
  ): Promise<RunKeeper> {
    const keeper = new RunKeeper(runs, newRun(request), request, onEvent, queued);
    await keeper.write({ request, ...(queued ? { fromQueue: queued } : {}) });
    return keeper;
  }

  /**
   * Stores a run that begins where another stood. Rates that were halved there are not halved here: the new options say it all.
   *
   * @throws {BranchOptionError | CheckpointDamagedError}
   */
  static async branch(
    runs: RunStore,
    request: TrainRequest,
    { parent, globalStep, onEvent = () => {} }: BranchOptions,
  ): Promise<RunKeeper> {
    checkBranch(parent.options, request.options);
    const from = await runs.checkpointFiles(parent.id, globalStep);
    const { history, ...checkpoint } = await decodeCheckpoint(`of step ${globalStep}`, from.state);
    const run: StoredRun = {
      ...newRun(request),
      globalStep,
      losses: [...history.losses],
      parent: { runId: parent.id, name: parent.name, globalStep },
    };
    const keeper = new RunKeeper(runs, run, request, onEvent);
    const position = { globalStep, learningRateFactor: 1, rollbacks: [] };
    await keeper.write({
      request,
      ...(from.adapter ? { adapter: from.adapter } : {}),
      checkpoint: {
        globalStep,
        state: await encodeCheckpoint({ ...checkpoint, history, position }),
        keep: (steps) => steps,
      },
    });
    keeper.log('branched', globalStep, `Branched off “${parent.name}” at step ${globalStep}.`);
    return keeper;
  }

  /** Takes up a stored run again. */
  static async reopen(
    runs: RunStore,
    id: string,
    request: TrainRequest,
    onEvent: OnEvent = () => {},
  ): Promise<RunKeeper> {
    const run = await runs.get(id);
    return new RunKeeper(runs, { ...run, finishedAt: null, options: request.options }, request, onEvent);
  }

  get run(): StoredRun {
    return this.stored;
  }

  get request(): TrainRequest {
    return this.asked;
  }

  /** Goes on with other options, which are kept with the run from now on. */
  async change(changes: Partial<TrainOptions>): Promise<void> {
    const options = { ...this.asked.options, ...changes };
    this.asked = { ...this.asked, options };
    this.stored = { ...this.stored, options };
    await this.write({ request: this.asked });
  }

  /** What to go on from; null to begin. Damaged checkpoints are passed over and named in the log. */
  async newestCheckpoint(): Promise<Checkpoint | null> {
    const { id } = this.stored;
    const steps = (await this.runs.checkpoints(id)).map(({ globalStep }) => globalStep);
    const { checkpoint, damaged } = await newestCheckpoint(steps, (step) => this.runs.checkpoint(id, step));
    for (const { globalStep, error } of damaged) this.log('warning', globalStep, `${error.message} ${error.remedy}`);
    return checkpoint;
  }

  /** The part of a training's events that stores it. `modelName`: as adapter files are to call it. */
  events(
    modelName: string,
  ): Required<Pick<TrainingEvents, 'onCheckpoint' | 'loadCheckpoint' | 'onEvent' | 'onValidation'>> {
    return {
      onCheckpoint: (report) => this.keep(report, modelName),
      loadCheckpoint: async (globalStep) => {
        const bytes = await this.runs.checkpoint(this.stored.id, globalStep);
        return decodeCheckpoint(`of step ${globalStep}`, defined(bytes, `checkpoint of step ${globalStep}`));
      },
      onEvent: (kind, globalStep, text) => this.log(kind, globalStep, text),
      onValidation: (point) => {
        // A run that was rolled back comes by some steps again. The next checkpoint writes it.
        const before = (this.stored.validation ?? []).filter(({ globalStep }) => globalStep < point.globalStep);
        this.stored = { ...this.stored, validation: [...before, point] };
      },
    };
  }

  /** Adds a line to the run's log. */
  log(kind: RunEventKind, globalStep: number, text: string): void {
    const event: RunEvent = { kind, at: Date.now(), globalStep, text };
    this.stored = { ...this.stored, events: [...(this.stored.events ?? []), event] };
    this.onEvent(this.stored.id, event);
    // A log that cannot be written is not worth a run; the next checkpoint reports a full disk.
    void this.write().catch(() => undefined);
  }

  /** The run is over, for now: stopped and failed ones can be gone on with. */
  async end(kind: 'finished' | 'stopped' | 'failed', text: string): Promise<StoredRun> {
    this.stored = { ...this.stored, finishedAt: Date.now() };
    this.log(kind, this.stored.globalStep, text);
    await this.write();
    return this.runs.get(this.stored.id);
  }

  /** Forgets a run that never came to anything. One that came out of the queue waits there again, unless it is not wanted any more. */
  async discard({ isWanted }: { readonly isWanted: boolean }): Promise<void> {
    await this.writing.catch(() => undefined);
    await this.runs.discard(this.stored.id, isWanted ? this.queued : null);
  }

  private async keep({ checkpoint, modules, record }: CheckpointReport, modelName: string): Promise<void> {
    const { globalStep } = checkpoint.position;
    const { request } = this;
    this.stored = { ...this.stored, globalStep, losses: [...checkpoint.history.losses] };
    const { name, startedAt } = this.stored;
    const adapter = adapterFile(modules, {
      name,
      modelName,
      triggerWord: request.triggerWord,
      captions: request.images.map((image) => image.caption),
      startedAt,
      finishedAt: Date.now(),
      globalStep,
      ...trainingFactsOf(request.options),
    });
    await this.write({
      adapter,
      record,
      checkpoint: {
        globalStep,
        state: await encodeCheckpoint(checkpoint),
        keep: (steps) => stepsToKeep(steps, request.options.checkpoints),
      },
    });
  }

  private write(parts: Parameters<RunStore['save']>[1] = {}): Promise<void> {
    const run = this.stored;
    const written = this.writing.catch(() => undefined).then(() => this.runs.save(run, parts));
    this.writing = written;
    return written;
  }
}

/** Hears every line of a run's log. */
export type OnEvent = (runId: string, event: RunEvent) => void;

interface BranchOptions {
  readonly parent: StoredRun;
  readonly globalStep: number;
  readonly onEvent?: OnEvent;
}

function newRun({ name, modelId, triggerWord, options, images }: TrainRequest): StoredRun {
  return {
    id: crypto.randomUUID(),
    name,
    modelId,
    triggerWord,
    startedAt: Date.now(),
    finishedAt: null,
    globalStep: 0,
    options,
    imageCount: images.length,
    losses: [],
    events: [],
  };
}

/** What the state consists of, by the options that say it: a branch takes the state over, so it cannot change that. */
const structure: Readonly<Record<string, (options: TrainOptions) => unknown>> = {
  adapterKind: ({ adapterKind }) => adapterKind,
  rank: ({ rank }) => rank,
  convRank: ({ convRank }) => convRank,
  targets: ({ targets }) => targets,
  'textEncoder.train': ({ textEncoder: { train, learningRate } }) => train && learningRate > 0,
  'optimizer.name': ({ optimizer }) => optimizer.name,
  // Adafactor keeps momentum only where there is some.
  'optimizer.beta1': ({ optimizer: { name, beta1 } }) => (name === 'adafactor' && beta1 === 0 ? 'zero' : 'as it is'),
  emaDecay: ({ emaDecay }) => (emaDecay === null ? 'off' : 'on'),
  // Frozen blocks have no parameters.
  blockLearningRates: ({ blockLearningRates }) => {
    const frozen = Object.keys(blockLearningRates).filter((block) => blockLearningRates[block] === 0);
    return frozen.length === 0 ? 'without frozen blocks' : `0 for ${frozen.sort().join(', ')}`;
  },
};

function checkBranch(parent: TrainOptions, own: TrainOptions): void {
  for (const [option, of] of Object.entries(structure)) {
    const before = inWords(of(parent));
    if (inWords(of(own)) !== before) throw new BranchOptionError(option, before);
  }
}

function inWords(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
