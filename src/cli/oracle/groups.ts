/** How each group of cases of each form of pack is replayed: a file a group. */
import { replayLoraFiles } from './groups/loraFiles.ts';
import { replayLoraForward } from './groups/loraForward.ts';
import { replayLoraGrad } from './groups/loraGrad.ts';
import { replayMetrics } from './groups/metrics.ts';
import { replayPipeline } from './groups/pipeline.ts';
import { replayPreprocess } from './groups/preprocess.ts';
import { replayRng } from './groups/rng.ts';
import { replayScheduler } from './groups/schedulers.ts';
import { replayTaesdDecode, replayTaesdEncode, replayTaesdRoundtrip } from './groups/taesd.ts';
import { replayText } from './groups/text.ts';
import { replayTrain } from './groups/train.ts';
import { replayUNet } from './groups/unet.ts';
import { replayVae } from './groups/vae.ts';
import type { GroupReplay } from './groups/types.ts';

type Groups = Readonly<Record<string, GroupReplay>>;

const sd15: Groups = {
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

const taesd: Groups = { decode: replayTaesdDecode, encode: replayTaesdEncode, roundtrip: replayTaesdRoundtrip };

/** The groups that are known of a pack's form, e.g. `sd15-oracle 1`; of forms that are not known, none. */
export function groupsOf(format: string): Groups {
  const form = format.split(' ')[0];
  return form === 'sd15-oracle' ? sd15 : form === 'taesd-oracle' ? taesd : {};
}
