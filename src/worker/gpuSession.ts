/** The worker's one GPU and what is loaded on it: a training run or an image generator, never both. */
import { LoratoryError } from '../core/errors.ts';
import { openDevice } from '../gpu/device.ts';
import { GpuOutOfMemoryError, GpuValidationError, type DeviceLostError } from '../gpu/errors.ts';
import { startTileTuner } from '../gpu/kernels/tileTuner.ts';
import { startRuntime, stopRuntime, type Runtime } from '../gpu/runtime.ts';
import type { TunerMemory } from '../gpu/tuner.ts';
import { openDiffusionModel } from '../models/repository.ts';
import { RunEndedError } from '../session/control.ts';
import { ImageGenerator } from '../session/generation.ts';
import type { Models } from './models.ts';
import type { GpuInfo } from './protocol.ts';

/** The GPU is taken by something that must not be interrupted. */
export class GpuBusyError extends LoratoryError {
  readonly code = 'gpu-busy';

  /** `training`: with another model than is asked for; `preparing`: it cannot draw yet, or measures what a run would need. */
  constructor(by: 'training' | 'preparing') {
    super(
      by === 'training'
        ? 'The GPU is busy training with another model.'
        : 'The GPU is busy: a training is being prepared or tried.',
      by === 'training'
        ? 'Choose the model that is being trained with, wait for the run to finish, or stop it: what it has learnt is kept.'
        : 'Try again in a moment.',
    );
  }
}

/** A run that trains just now and can draw between its steps. */
export interface DrawingRun {
  readonly modelId: string;
  /** Throws {@link RunEndedError} if the run ends before it has come to it. */
  draw<T>(work: (generator: ImageGenerator) => Promise<T>, signal?: AbortSignal): Promise<T>;
}

export class GpuSession {
  /** Set while a run trains. */
  drawing: DrawingRun | null = null;
  private opening: Promise<Runtime> | null = null;
  private generator: { readonly modelId: string; readonly generator: ImageGenerator } | null = null;
  private training = false;
  /** The last piece of GPU work; the next one waits for it. */
  private queue: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly models: Models,
    private readonly onLost: (error: DeviceLostError) => void,
    private readonly tiles?: TunerMemory,
  ) {}

  async info(): Promise<GpuInfo> {
    const { opened, shaderF16, device } = await this.open();
    const { vendor, architecture, description } = opened.adapterInfo;
    return {
      description: description || [vendor, architecture].filter(Boolean).join(' ') || 'GPU',
      vendor,
      architecture,
      isSoftware: opened.isSoftware,
      shaderF16,
      subgroups: device.features.has('subgroups'),
      maxStorageBufferBindingSize: device.limits.maxStorageBufferBindingSize,
    };
  }

  /**
   * Runs `work` alone on the GPU with nothing else loaded. Where it fails, the device is given up: what a step had recorded by then would lie
   * on it for nobody to free. Throws {@link GpuBusyError} if a training runs already.
   */
  async train<T>(work: () => Promise<T>): Promise<T> {
    if (this.training) throw new GpuBusyError('preparing');
    this.training = true;
    try {
      return await this.exclusively(async () => {
        await this.open();
        this.freeGenerator();
        try {
          return await work();
        } catch (error) {
          this.startAfresh();
          throw error;
        }
      });
    } finally {
      this.training = false;
    }
  }

  /**
   * Runs `work` with an image generator for the model, which stays loaded afterwards; while a run trains, with that run's model,
   * between two steps. Throws {@link GpuBusyError} if the run trains with another model or is not ready.
   */
  async generate<T>(
    modelId: string,
    work: (generator: ImageGenerator) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    const { drawing } = this;
    if (drawing) {
      if (drawing.modelId !== modelId) throw new GpuBusyError('training');
      try {
        return await drawing.draw(work, signal);
      } catch (error) {
        // Then the GPU is free, or soon will be.
        if (!(error instanceof RunEndedError)) throw error;
        await this.queue;
      }
    }
    if (this.training) throw new GpuBusyError('preparing');
    return this.exclusively(async () => {
      await this.open();
      if (this.generator?.modelId !== modelId) {
        this.freeGenerator();
        const model = await openDiffusionModel(await this.models.openTree(modelId));
        this.generator = { modelId, generator: new ImageGenerator(model) };
      }
      return work(this.generator.generator);
    });
  }

  /** For the work in progress: gives up the device, on which an error has come up that taints all later results, and opens a new one. */
  async reopen(): Promise<void> {
    this.startAfresh();
    await this.open();
  }

  private open(): Promise<Runtime> {
    if (!this.opening) {
      const opening = this.start();
      this.opening = opening;
      opening.then(
        (runtime) =>
          void runtime.lost.then((error) => {
            // `destroyed` is our own doing: see startAfresh.
            if (error.facts['reason'] !== 'destroyed') this.onLost(error);
          }),
        // A machine without WebGPU may get it later (a flag, a driver): the next call tries again.
        () => (this.opening = null),
      );
    }
    return this.opening;
  }

  private async start(): Promise<Runtime> {
    const runtime = await startRuntime(await openDevice(navigator.gpu));
    startTileTuner(this.tiles ? { memory: this.tiles } : {});
    return runtime;
  }

  private freeGenerator(): void {
    this.generator?.generator.dispose();
    this.generator = null;
  }

  private exclusively<T>(work: () => Promise<T>): Promise<T> {
    const result = this.queue.then(work).catch((error: unknown) => {
      if (error instanceof GpuOutOfMemoryError || error instanceof GpuValidationError) this.startAfresh();
      throw error;
    });
    this.queue = result.catch(() => undefined);
    return result;
  }

  /** After an error that taints all later results the device is given up; the next work opens a new one. */
  private startAfresh(): void {
    this.generator = null;
    this.opening = null;
    stopRuntime();
  }
}
