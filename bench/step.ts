/** The step part: one LoRA training step of the tiny model, where all is overhead. */
import { fileURLToPath } from 'node:url';
import { folderTree } from '../src/cli/nodeFiles.ts';
import { openDiffusionModel } from '../src/models/repository.ts';
import type { BenchGpu } from './gpu.ts';
import { measureStep, type StepReport } from './trainingStep.ts';

const tinyModel = fileURLToPath(new URL('../fixtures/sd15-tiny/model', import.meta.url));

/** 16 x 16 latents, rank 4. */
export async function benchStep(gpu: BenchGpu): Promise<StepReport> {
  const model = await openDiffusionModel(await folderTree(tinyModel));
  const unet = await model.loadUNet();
  try {
    return await measureStep(gpu, unet, { latentSide: 16, rank: 4, tokens: 77, batchSize: 1 });
  } finally {
    unet.dispose();
  }
}
