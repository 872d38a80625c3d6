/**
 * The header of a LoRA file as kohya's sd-scripts writes it: `ss_*` says how it was trained, `modelspec.*` what it is, `sshs_*` are
 * hashes. All values are strings in Python's spelling. Sources: sd-scripts train_network.py, library/sai_model_spec.py,
 * library/train_util.py (precalculate_safetensors_hashes); github.com/Stability-AI/ModelSpec.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { demoModel } from '../../core/demoModel.ts';
import { deriveSeed } from '../../core/rng.ts';
import { encodeSafetensors, type TensorToWrite } from '../safetensors.ts';
import type { Steps } from '../../core/steps.ts';
import type { LoraModule } from './types.ts';

/** What is known about a training run when its adapter is written. */
export interface TrainingFacts {
  /** The adapter's name. */
  readonly name: string;
  /** The base model, e.g. its Hub id. */
  readonly modelName: string;
  readonly triggerWord: string;
  /** One an image, in the order of the dataset. */
  readonly captions: readonly string[];
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly finishedAt: number;
  /** Steps done. */
  readonly globalStep: number;
  readonly maxTrainSteps: number;
  readonly resolution: number;
  readonly rank: number;
  readonly alpha: number;
  readonly learningRate: number;
  readonly trainBatchSize: number;
  readonly seed: number;
  readonly flipProbability: number;
  /** How often an epoch shows each image; 1 by default. */
  readonly repeats?: number;
  /** Aspect-ratio buckets; off by default. */
  readonly enableBucket?: boolean;
  readonly gradientAccumulationSteps?: number;
  /** The text encoder's own learning rate, where it is another. */
  readonly textEncoderLearningRate?: number;
  /** diffusers' name, `constant` by default. */
  readonly lrScheduler?: string;
  readonly lrWarmupSteps?: number;
  readonly networkDropout?: number;
  /** sd-scripts' name of what trained it; `networks.lora` by default. */
  readonly networkModule?: string;
  /** What sd-scripts was told with --network_args, e.g. `conv_dim`. */
  readonly networkArgs?: Readonly<Record<string, string>>;
  readonly mixedPrecision?: 'no' | 'fp16' | 'bf16';
  readonly clipSkip?: number;
  readonly noiseOffset?: number;
  readonly minSnrGamma?: number;
  readonly maxGradNorm?: number;
  readonly captionDropoutRate?: number;
  /** As Python prints it. */
  readonly optimizer?: string;
  /** A1111's short hash of the base model's file, where it is known. */
  readonly modelHash?: string;
  readonly vaeName?: string;
  readonly predictionType?: 'epsilon' | 'v_prediction';
  readonly author?: string;
  readonly description?: string;
  readonly license?: string;
  readonly tags?: readonly string[];
  /** A picture as a data URL. */
  readonly thumbnail?: string;
}

/** A float as Python's str() writes it. */
export function pythonFloat(value: number): string {
  const magnitude = Math.abs(value);
  if (magnitude !== 0 && (magnitude < 1e-4 || magnitude >= 1e16)) {
    return value.toExponential().replace(/e([+-])(\d)$/, 'e$10$2');
  }
  return Number.isInteger(value) ? `${value}.0` : String(value);
}

const pythonBool = (value: boolean): string => (value ? 'True' : 'False');

/** How often each comma-separated part of the captions occurs. */
function tagFrequency(captions: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = Object.create(null) as Record<string, number>;
  for (const caption of captions) {
    for (const part of caption.split(',')) {
      const tag = part.trim().toLowerCase();
      if (tag !== '') counts[tag] = (counts[tag] ?? 0) + 1;
    }
  }
  return counts;
}

/** A folder's name as kohya has it: how often its images are repeated, then a word. */
function datasetName({ triggerWord, name, repeats = 1 }: TrainingFacts): string {
  return `${repeats}_${triggerWord === '' ? name : triggerWord}`;
}

/** kohya's network_dim: the rank of linear layers and 1x1 convolutions, where there are any; larger kernels have conv_dim. */
function networkDim(modules: readonly LoraModule[]): number {
  const small = modules.filter(({ kernel }) => !kernel || kernel[0] * kernel[1] === 1);
  return Math.max(0, ...(small.length > 0 ? small : modules).map(({ rank }) => rank));
}

/** The `ss_*` and `modelspec.*` entries of an adapter's header. Facts alone decide them: the same run gives the same header. */
export function trainingMetadata(modules: readonly LoraModule[], facts: TrainingFacts): Record<string, string> {
  const {
    captions,
    trainBatchSize,
    gradientAccumulationSteps = 1,
    repeats = 1,
    predictionType = 'epsilon',
    seed,
    resolution,
  } = facts;
  const dataset = datasetName(facts);
  // Built like SD 1.5, but of other widths: no SD 1.5 takes an adapter of the demo model.
  const isDemo = facts.modelName === demoModel.name;
  const batchesPerEpoch = Math.max(1, Math.ceil((captions.length * repeats) / trainBatchSize));
  const stepsPerEpoch = Math.ceil(batchesPerEpoch / gradientAccumulationSteps);
  const epochs = (steps: number): number => Math.ceil(steps / stepsPerEpoch);
  const trainsTextEncoder = modules.some(({ target }) => target === 'textEncoder');
  const trainsUNet = modules.some(({ target }) => target === 'unet');
  const learningRate = pythonFloat(facts.learningRate);
  const orNone = (value: number | undefined, text: (value: number) => string = pythonFloat): string =>
    value === undefined ? 'None' : text(value);
  const optional: Record<string, string | undefined> = {
    ss_sd_model_hash: facts.modelHash,
    ss_vae_name: facts.vaeName,
    ss_network_args: facts.networkArgs && JSON.stringify(facts.networkArgs),
    'modelspec.tags': facts.tags?.join(', '),
    'modelspec.author': facts.author,
    'modelspec.description': facts.description,
    'modelspec.license': facts.license,
    'modelspec.thumbnail': facts.thumbnail,
    'modelspec.trigger_phrase': facts.triggerWord === '' ? undefined : facts.triggerWord,
  };
  const given = Object.entries(optional).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return {
    ss_session_id: String(deriveSeed(seed, 'session', facts.startedAt)),
    ss_output_name: facts.name,
    ss_training_started_at: pythonFloat(facts.startedAt / 1000),
    ss_training_finished_at: pythonFloat(facts.finishedAt / 1000),
    ss_learning_rate: learningRate,
    ss_unet_lr: trainsUNet ? learningRate : 'None',
    ss_text_encoder_lr: trainsTextEncoder ? orNone(facts.textEncoderLearningRate ?? facts.learningRate) : 'None',
    ss_num_train_images: String(captions.length * repeats),
    ss_num_reg_images: '0',
    ss_num_batches_per_epoch: String(batchesPerEpoch),
    ss_num_epochs: String(epochs(facts.maxTrainSteps)),
    ss_epoch: String(epochs(facts.globalStep)),
    ss_steps: String(facts.globalStep),
    ss_max_train_steps: String(facts.maxTrainSteps),
    ss_gradient_checkpointing: pythonBool(true),
    ss_gradient_accumulation_steps: String(gradientAccumulationSteps),
    ss_lr_scheduler: facts.lrScheduler ?? 'constant',
    ss_lr_warmup_steps: String(facts.lrWarmupSteps ?? 0),
    ss_network_module: facts.networkModule ?? 'networks.lora',
    ss_network_dim: String(networkDim(modules)),
    ss_network_alpha: pythonFloat(facts.alpha),
    ss_network_dropout: orNone(facts.networkDropout),
    ss_mixed_precision: facts.mixedPrecision ?? 'no',
    ss_full_fp16: pythonBool(false),
    ss_v2: pythonBool(false),
    ss_base_model_version: isDemo ? demoModel.name : 'sd_v1',
    ss_clip_skip: orNone(facts.clipSkip, String),
    ss_max_token_length: 'None',
    ss_cache_latents: pythonBool(true),
    ss_seed: String(seed),
    ss_noise_offset: orNone(facts.noiseOffset),
    ss_min_snr_gamma: orNone(facts.minSnrGamma),
    ss_optimizer: facts.optimizer ?? 'torch.optim.adamw.AdamW(weight_decay=0.01,betas=(0.9, 0.999),eps=1e-08)',
    ss_max_grad_norm: pythonFloat(facts.maxGradNorm ?? 0),
    ss_caption_dropout_rate: pythonFloat(facts.captionDropoutRate ?? 0),
    ss_resolution: `(${resolution}, ${resolution})`,
    ss_batch_size_per_device: String(trainBatchSize),
    ss_total_batch_size: String(trainBatchSize * gradientAccumulationSteps),
    ss_flip_aug: pythonBool(facts.flipProbability > 0),
    ss_enable_bucket: pythonBool(facts.enableBucket ?? false),
    ss_bucket_info: 'null',
    ss_tag_frequency: JSON.stringify({ [dataset]: tagFrequency(captions) }),
    ss_dataset_dirs: JSON.stringify({ [dataset]: { n_repeats: repeats, img_count: captions.length } }),
    ss_sd_model_name: facts.modelName,
    'modelspec.sai_model_spec': '1.0.1',
    'modelspec.architecture': `${isDemo ? demoModel.name : 'stable-diffusion-v1'}/lora`,
    'modelspec.implementation': 'diffusers',
    'modelspec.title': facts.name,
    'modelspec.resolution': `${resolution}x${resolution}`,
    'modelspec.date': new Date(facts.finishedAt).toISOString().slice(0, 19),
    'modelspec.prediction_type': predictionType === 'epsilon' ? 'epsilon' : 'v',
    ...Object.fromEntries(given),
  };
}

/** The stretch of a file that A1111's old model hash covers. */
const LEGACY_START = 0x100000;
const LEGACY_BYTES = 0x10000;
/** At a time: some milliseconds' work. */
const HASHED_BYTES = 1 << 20;

/**
 * `metadata` with the hashes that sd-scripts adds, and ModelSpec's. sshs_model_hash is the SHA-256 of all tensor bytes, which no edit of the header changes;
 * sshs_legacy_hash covers 64 KiB of the file as it would be with the `ss_*` entries alone, so that edits of the others keep it too.
 */
export function* withHashes(
  tensors: readonly TensorToWrite[],
  metadata: Readonly<Record<string, string>>,
): Steps<Record<string, string>> {
  const training = Object.entries(metadata).filter(([key]) => key.startsWith('ss_'));
  const bytes = encodeSafetensors(tensors, Object.fromEntries(training));
  const dataStart = 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const legacy = bytesToHex(sha256(bytes.subarray(LEGACY_START, LEGACY_START + LEGACY_BYTES)));
  const whole = sha256.create();
  for (let start = dataStart; start < bytes.length; start += HASHED_BYTES) {
    yield start / bytes.length;
    whole.update(bytes.subarray(start, start + HASHED_BYTES));
  }
  const hash = bytesToHex(whole.digest());
  return {
    ...metadata,
    // ModelSpec's hash is the same, of a file that says what it is.
    ...('modelspec.sai_model_spec' in metadata ? { 'modelspec.hash_sha256': `0x${hash}` } : {}),
    sshs_model_hash: hash,
    sshs_legacy_hash: legacy.slice(0, 8),
  };
}
