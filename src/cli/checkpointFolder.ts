/**
 * Where a run of the command line stands, in a folder beside the file that it writes, so that a run that was killed can be gone on with: the
 * recipe of the run, its checkpoints, `step-000050.safetensors`, and what it does otherwise since the GPU was short of memory. The folder goes when
 * the run is done.
 */
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { LoratoryError } from '../core/errors.ts';
import { completeTrainOptions } from '../core/trainOptionsJson.ts';
import type { TrainOptions } from '../core/trainOptions.ts';
import { type Recipe, writeRecipe } from '../formats/recipe.ts';
import { stepsToKeep } from '../session/checkpointPolicy.ts';
import { type FoundCheckpoint, newestCheckpoint } from '../session/resume.ts';
import { type Checkpoint, decodeCheckpoint, encodeCheckpoint } from '../trainer/checkpoint.ts';

/** A run that did not end lies where a new one is to begin. */
export class UnfinishedRunError extends LoratoryError {
  readonly code = 'unfinished-run';

  constructor(folder: string, globalStep: number) {
    super(
      `${folder} holds a run that stopped after ${globalStep} steps.`,
      'Go on with it by --resume, or delete the folder to begin anew.',
      { folder, globalStep },
    );
  }
}

/** The run to go on with is not the one that the flags describe. */
export class OtherRunError extends LoratoryError {
  readonly code = 'other-run';

  constructor(folder: string, differing: readonly string[]) {
    super(
      `The run in ${folder} was begun differently: ${differing.join(', ')}.`,
      'Give the flags, pictures and captions that it was begun with, or delete the folder to begin anew.',
      { folder, differing },
    );
  }
}

const recipeFile = 'recipe.json';
/** What the run does otherwise than its recipe says, where the GPU had no room. */
const fallbackFile = 'fallback.json';
const stepOf = (file: string): number | null => {
  const [, step] = /^step-(\d+)\.safetensors$/.exec(file) ?? [];
  return step === undefined ? null : Number(step);
};

export class CheckpointFolder {
  private constructor(
    private readonly folder: string,
    private readonly options: TrainOptions['checkpoints'],
    private changed: Partial<TrainOptions>,
  ) {}

  /** The options that the run goes on with in place of its recipe's: see {@link fallBack}. */
  get changes(): Partial<TrainOptions> {
    return this.changed;
  }

  /**
   * The folder of the run that writes `out`. `resume`: it may hold a run already, which must be the same.
   *
   * @throws {UnfinishedRunError | OtherRunError}
   */
  static async of(out: string, recipe: Recipe, resume: boolean): Promise<CheckpointFolder> {
    const path = `${out.slice(0, out.length - extname(out).length)}.unfinished`;
    const changes = await readFile(join(path, fallbackFile), 'utf8').catch(() => '{}');
    const folder = new CheckpointFolder(path, recipe.options.checkpoints, JSON.parse(changes) as Partial<TrainOptions>);
    const steps = await folder.steps();
    // They were of a run that did not come to its first step.
    if (steps.length === 0) await folder.forgetChanges();
    if (steps.length > 0) {
      if (!resume) throw new UnfinishedRunError(path, Math.max(...steps));
      const before = await readFile(join(path, recipeFile), 'utf8');
      const differing = differences(JSON.parse(before) as Recipe, recipe);
      if (differing.length > 0) throw new OtherRunError(path, differing);
    }
    await mkdir(path, { recursive: true });
    await writeSafely(join(path, recipeFile), new TextEncoder().encode(writeRecipe(recipe)));
    return folder;
  }

  /** What to go on from; no checkpoint if the run is to begin. */
  async newest(): Promise<FoundCheckpoint> {
    return newestCheckpoint(await this.steps(), async (step) => new Uint8Array(await readFile(this.file(step))));
  }

  /** Throws {@link CheckpointDamagedError}. */
  async load(globalStep: number): Promise<Checkpoint> {
    return decodeCheckpoint(`of step ${globalStep}`, new Uint8Array(await readFile(this.file(globalStep))));
  }

  /** Keeps a checkpoint, and of the others those that are still needed. Dying meanwhile harms none. */
  async keep(checkpoint: Checkpoint): Promise<void> {
    await writeSafely(this.file(checkpoint.position.globalStep), await encodeCheckpoint(checkpoint));
    const steps = await this.steps();
    const kept = new Set(stepsToKeep(steps, this.options));
    for (const step of steps) if (!kept.has(step)) await rm(this.file(step));
  }

  /** Goes on with other options, which are kept with the run for when it is taken up again. */
  async fallBack(changes: Partial<TrainOptions>): Promise<void> {
    this.changed = { ...this.changed, ...changes };
    await writeSafely(join(this.folder, fallbackFile), new TextEncoder().encode(JSON.stringify(this.changed)));
  }

  /** The run is done: nothing is left to go on with. */
  async remove(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }

  private async forgetChanges(): Promise<void> {
    this.changed = {};
    await rm(join(this.folder, fallbackFile), { force: true });
  }

  private file(globalStep: number): string {
    return join(this.folder, `step-${String(globalStep).padStart(6, '0')}.safetensors`);
  }

  private async steps(): Promise<number[]> {
    const files = await readdir(this.folder).catch(() => []);
    return files.flatMap((file) => stepOf(file) ?? []);
  }
}

/** A file is there as a whole or not at all, also when the machine loses its power. */
async function writeSafely(path: string, bytes: Uint8Array): Promise<void> {
  const draft = `${path}.draft`;
  const file = await open(draft, 'w');
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(draft, path);
}

/** What two recipes differ in, of what the bytes of a run depend on. */
function differences(before: Recipe, now: Recipe): string[] {
  const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);
  const known = completeTrainOptions(before.options);
  const options = (Object.keys(known) as (keyof TrainOptions)[]).filter(
    (name) => !same(known[name], now.options[name]),
  );
  return [
    ...(before.model.id === now.model.id ? [] : ['the model']),
    ...(before.triggerWord === now.triggerWord ? [] : ['the trigger word']),
    ...(before.background === now.background ? [] : ['the background']),
    ...(same(before.images, now.images) ? [] : ['the pictures or their captions']),
    ...options,
  ];
}
