/**
 * What every picture cost at every step: which picture, at which timestep, with which loss. A picture that the model never learns,
 * or learns by heart, shows itself here. Entries are a few bytes each, in typed arrays that grow by doubling.
 */
import { defined } from '../core/invariant.ts';
import type { ExampleLoss, TrainRecord } from '../worker/protocol.ts';

export interface RecordEntry {
  /** Index into the run's images. */
  readonly image: number;
  readonly timestep: number;
  readonly loss: number;
}

export class TrainRecorder {
  #length = 0;
  #steps = new Uint32Array(256);
  #images = new Uint16Array(256);
  #timesteps = new Uint16Array(256);
  #losses = new Float32Array(256);

  constructor(private readonly imageIds: readonly string[]) {}

  /** Adds a step's pictures. `globalStep` is 1-based. */
  add(globalStep: number, entries: readonly RecordEntry[]): void {
    for (const { image, timestep, loss } of entries) {
      if (this.#length === this.#steps.length) this.#grow();
      this.#steps[this.#length] = globalStep;
      this.#images[this.#length] = image;
      this.#timesteps[this.#length] = timestep;
      this.#losses[this.#length] = loss;
      this.#length++;
    }
  }

  /** All entries so far, copied. */
  read(): TrainRecord {
    return {
      imageIds: this.imageIds,
      steps: this.#steps.slice(0, this.#length),
      images: this.#images.slice(0, this.#length),
      timesteps: this.#timesteps.slice(0, this.#length),
      losses: this.#losses.slice(0, this.#length),
    };
  }

  /** Begins again with the entries of `record` up to and with step `globalStep`. */
  restore(record: Omit<TrainRecord, 'imageIds'>, globalStep: number): void {
    this.#length = 0;
    for (const [i, step] of record.steps.entries()) {
      if (step > globalStep) break;
      this.add(step, [{ image: record.images[i]!, timestep: record.timesteps[i]!, loss: record.losses[i]! }]);
    }
  }

  /** Entries as the page knows them. */
  named(entries: readonly RecordEntry[]): ExampleLoss[] {
    return entries.map(({ image, timestep, loss }) => ({ imageId: defined(this.imageIds[image]), timestep, loss }));
  }

  #grow(): void {
    const larger = <T extends Uint32Array<ArrayBuffer> | Uint16Array<ArrayBuffer> | Float32Array<ArrayBuffer>>(
      old: T,
      made: T,
    ): T => {
      made.set(old);
      return made;
    };
    const length = this.#length * 2;
    this.#steps = larger(this.#steps, new Uint32Array(length));
    this.#images = larger(this.#images, new Uint16Array(length));
    this.#timesteps = larger(this.#timesteps, new Uint16Array(length));
    this.#losses = larger(this.#losses, new Float32Array(length));
  }
}
