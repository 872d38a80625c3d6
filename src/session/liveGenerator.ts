/**
 * Pictures while a run trains: between two steps, with the trainer's own UNet and the adapter as it is then. The trained branches are
 * taken out meanwhile and a copy of them is plugged in like any other adapter, so that it can be weighed, combined and left out;
 * afterwards the model is as it was, and training goes on in the same bytes.
 */
import type { Adapter } from '../adapter/lora.ts';
import type { TrainOptions } from '../core/trainOptions.ts';
import type { DiffusionModel } from '../models/repository.ts';
import { adapterOf } from '../export/runFile.ts';
import { noiseConfigOf } from '../trainer/batch.ts';
import type { TrainControl } from './control.ts';
import { ImageGenerator } from './generation.ts';

export class LiveGenerator {
  /** Kept, as it remembers prompts; on the GPU it leaves nothing. */
  private generator: ImageGenerator | null = null;

  private readonly model: DiffusionModel;

  /**
   * `name`: of the run, as pictures' parameters are to call its adapter. `options`: what the run makes the model predict, and from how much
   * noise, is what its pictures are drawn by, as its samples are.
   */
  constructor(
    model: DiffusionModel,
    private readonly name: string,
    options: Pick<TrainOptions, 'predictionType' | 'zeroTerminalSnr'>,
  ) {
    this.model = { ...model, schedulerConfig: noiseConfigOf(options, model.schedulerConfig) };
  }

  /**
   * Waits for a place between two steps of the run that `control` controls, and does `work` there. `live` is the run's adapter as it is
   * then.
   *
   * @throws {RunEndedError} if the run ends before.
   */
  async draw<T>(
    control: TrainControl,
    work: (generator: ImageGenerator, live: Adapter) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    return control.betweenSteps(async ({ unet, adapter, modules }) => {
      signal?.throwIfAborted();
      const live = adapterOf(this.name, { modules: await modules(), changes: [] });
      const generator = (this.generator ??= new ImageGenerator(this.model, { unet }));
      const putBack = adapter.detach();
      try {
        return await work(generator, live);
      } finally {
        generator.dispose();
        putBack();
      }
    }, signal);
  }
}
