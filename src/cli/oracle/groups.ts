/** How each group of cases is replayed: a file a group. */
import { replayLoraFiles } from './groups/loraFiles.ts';
import { replayLoraForward } from './groups/loraForward.ts';
import { replayLoraGrad } from './groups/loraGrad.ts';
import { replayMetrics } from './groups/metrics.ts';
import { replayPipeline } from './groups/pipeline.ts';
import { replayPreprocess } from './groups/preprocess.ts';
import { replayRng } from './groups/rng.ts';
import { replayScheduler } from './groups/schedulers.ts';
import { replayText } from './groups/text.ts';
import { replayTrain } from './groups/train.ts';
import { replayUNet } from './groups/unet.ts';
import { replayVae } from './groups/vae.ts';
import type { GroupReplay } from './groups/types.ts';

export const groups: Readonly<Record<string, GroupReplay>> = {
  text: replayText,
  unet: replayUNet,
  vae: replayVae,
  rng: replayRng,
  metrics: replayMetrics,
  schedulers: replayScheduler,
  pipeline: replayPipeline,
  'lora-forward': replayLoraForward,
  'lora-files': replayLoraFiles,
  'lora-grad': replayLoraGrad,
  train: replayTrain,
  preprocess: replayPreprocess,
};
