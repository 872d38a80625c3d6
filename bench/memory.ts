/**
 * The memory part: one training step of the full-size SD1.5 UNet at 512 px, on Dawn's null backend. Nothing is computed, but
 * every buffer is asked for and every command is recorded and validated as on a real GPU, so bytes and counts are exact.
 */
import { UNet2DCondition } from '../src/models/unet.ts';
import { openNullGpu } from './nodeGpu.ts';
import { sd15Config, unetShapes, zeroWeights } from './sd15.ts';
import { measureStep, type StepReport } from './trainingStep.ts';

/** Needs a process of its own, without another GPU in it. 64 x 64 latents, rank 4. */
export async function benchMemory(): Promise<StepReport> {
  const gpu = await openNullGpu();
  const unet = await UNet2DCondition.load(zeroWeights(unetShapes(sd15Config)), sd15Config);
  return measureStep(gpu, unet, { latentSide: 64, rank: 4, tokens: 77 });
}
