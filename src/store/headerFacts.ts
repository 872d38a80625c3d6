/** A LoRA file's header in a person's words: how it was trained, and what it is said to be. */

/** Entries that say how it was trained, in the order in which people ask for them. */
const trainingLabels: Readonly<Record<string, string>> = {
  ss_sd_model_name: 'Base model',
  ss_base_model_version: 'Kind of model',
  ss_network_module: 'Network',
  ss_network_dim: 'Rank',
  ss_network_alpha: 'Alpha',
  ss_network_args: 'Network options',
  ss_steps: 'Steps',
  ss_max_train_steps: 'Steps planned',
  ss_epoch: 'Epoch',
  ss_num_train_images: 'Images',
  ss_resolution: 'Resolution',
  ss_total_batch_size: 'Batch size',
  ss_batch_size_per_device: 'Batch per device',
  ss_gradient_accumulation_steps: 'Gradient accumulation',
  ss_learning_rate: 'Learning rate',
  ss_unet_lr: 'Learning rate of the UNet',
  ss_text_encoder_lr: 'Learning rate of the text encoder',
  ss_lr_scheduler: 'Learning rate schedule',
  ss_optimizer: 'Optimizer',
  ss_mixed_precision: 'Mixed precision',
  ss_clip_skip: 'CLIP skip',
  ss_noise_offset: 'Noise offset',
  ss_min_snr_gamma: 'Min-SNR gamma',
  ss_caption_dropout_rate: 'Caption dropout',
  ss_flip_aug: 'Flipped images',
  ss_seed: 'Seed',
  ss_training_started_at: 'Started',
  ss_training_finished_at: 'Finished',
};

const aboutLabels: Readonly<Record<string, string>> = {
  'modelspec.title': 'Title',
  'modelspec.author': 'Author',
  'modelspec.description': 'Description',
  'modelspec.license': 'Licence',
  'modelspec.tags': 'Tags',
  'modelspec.trigger_phrase': 'Trigger phrase',
  'modelspec.architecture': 'Architecture',
  'modelspec.date': 'Date',
  'modelspec.merged_from': 'Merged from',
};

type Facts = readonly (readonly [label: string, value: string])[];

function inWords(key: string, value: string): string {
  if (key.endsWith('_at')) {
    const seconds = Number(value);
    return Number.isFinite(seconds) ? new Date(seconds * 1000).toLocaleString('en-GB') : value;
  }
  if (value === 'True') return 'yes';
  return value === 'False' ? 'no' : value;
}

function pick(metadata: Readonly<Record<string, string>>, labels: Readonly<Record<string, string>>): Facts {
  return Object.entries(labels).flatMap(([key, label]) => {
    const value = metadata[key];
    return value === undefined || value === '' || value === 'None' ? [] : [[label, inWords(key, value)] as const];
  });
}

/** How it was trained; empty where the header does not say. */
export function trainingFacts(metadata: Readonly<Record<string, string>>): Facts {
  return pick(metadata, trainingLabels);
}

/** What its maker says of it. */
export function aboutFacts(metadata: Readonly<Record<string, string>>): Facts {
  return pick(metadata, aboutLabels);
}
