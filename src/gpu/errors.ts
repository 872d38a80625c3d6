import { LoratoryError } from '../core/errors.ts';

/** The browser or the machine offers no WebGPU adapter at all. */
export class NoWebGpuError extends LoratoryError {
  readonly code = 'no-webgpu';

  constructor(reason: string) {
    super(
      `WebGPU is not available: ${reason}.`,
      'Use a recent Chrome, Edge or Safari, switch hardware acceleration on, and update the graphics driver. On the command line, install a Vulkan driver (Mesa) or name one in VK_ICD_FILENAMES.',
      { reason },
    );
  }
}

/** A shader did not compile or a command broke WebGPU's rules: a fault of ours or of the driver's compiler. */
export class GpuValidationError extends LoratoryError {
  readonly code = 'gpu-validation';

  constructor(detail: string) {
    super(
      `The GPU refused a command: ${detail}`,
      'Nothing drawn or learnt since then was kept. Try again; if it comes back, report it with the text above and the name of your GPU.',
      { detail },
    );
  }
}

/** An allocation did not fit into the GPU's memory. */
export class GpuOutOfMemoryError extends LoratoryError {
  readonly code = 'gpu-out-of-memory';

  constructor(detail: string, liveBytes: number) {
    super(
      `The GPU ran out of memory while ${Math.round(liveBytes / 2 ** 20)} MiB were in use: ${detail}`,
      'Close other tabs and programs that use the GPU, or choose a smaller resolution or batch.',
      { detail, liveBytes },
    );
  }
}

/** A tensor or a dispatch is larger than this GPU allows. */
export class GpuLimitError extends LoratoryError {
  readonly code = 'gpu-limit';

  constructor(kernel: string, limit: string, needed: number, available: number) {
    super(
      `${kernel} needs ${needed} for ${limit}, but this GPU allows ${available}.`,
      'Choose a smaller resolution or batch.',
      { kernel, limit, needed, available },
    );
  }
}

/** Half precision is asked for, and this GPU's shaders cannot compute in it (`shader-f16`). */
export class HalfPrecisionError extends LoratoryError {
  readonly code = 'gpu-no-f16';

  constructor() {
    super(
      'This GPU, or this browser on it, cannot compute in 16 bits (shader-f16), which mixed precision needs.',
      'Switch mixed precision off (“no”): everything is computed in 32 bits then.',
    );
  }
}

/** The driver took the device away (reset, sleep, memory pressure). Everything on the GPU is gone. */
export class DeviceLostError extends LoratoryError {
  readonly code = 'gpu-lost';

  constructor(reason: string, message: string) {
    super(
      `The GPU was taken away: ${message || reason}`,
      'Reload the page: stored models, images and runs are still there.',
      { reason },
    );
  }
}
