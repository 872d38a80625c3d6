/** What a call of a UNet costs that reuses the depth of the one before, beside one that keeps its own for that. */
import { tensor, trimMemory } from '../src/gpu/ops.ts';
import { CrossAttentionCache } from '../src/models/spatialTransformer.ts';
import type { UNet2DCondition } from '../src/models/unet.ts';
import type { BenchGpu } from './gpu.ts';
import { measurePass, type PassReport } from './trainingStep.ts';

export interface ReuseReport {
  /** A whole call whose depth is kept. */
  readonly keeping: PassReport;
  readonly shallow: PassReport;
}

/** One pass each, at batch 2 (guidance), with keys and values cached as in drawing. */
export async function measureReuse(gpu: BenchGpu, unet: UNet2DCondition, latentSide: number): Promise<ReuseReport> {
  const { inChannels, crossAttentionDim: width } = unet.config;
  const sample = tensor(new Float32Array(2 * latentSide ** 2 * inChannels), [2, latentSide, latentSide, inChannels]);
  const context = tensor(new Float32Array(2 * 77 * width), [2, 77, width]);
  const cache = new CrossAttentionCache();
  unet.forward(sample, [500, 500], context, cache).dispose();
  const first = unet.forwardKeeping(sample, [500, 500], context, cache);
  first.output.dispose();
  const shallow = await measurePass(
    gpu,
    async () => unet.forwardShallow(sample, [480, 480], context, first.deep, cache).dispose(),
    1,
  );
  first.deep.dispose();
  trimMemory();
  const keeping = await measurePass(
    gpu,
    async () => {
      const { output, deep } = unet.forwardKeeping(sample, [500, 500], context, cache);
      output.dispose();
      deep.dispose();
    },
    1,
  );
  cache.dispose();
  sample.dispose();
  context.dispose();
  trimMemory();
  return { keeping, shallow };
}
