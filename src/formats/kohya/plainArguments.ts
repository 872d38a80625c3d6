/** The arguments of kohya's trainer that mean the same here, under another name: read and written by this one table. */
import type { TrainOptionPath } from '../../core/trainOptionRules.ts';

/** [kohya's name, ours]. What is null here is not written, and not given there. */
export const plainArguments: readonly (readonly [string, TrainOptionPath])[] = [
  ['network_dim', 'rank'],
  ['network_alpha', 'alpha'],
  ['network_dropout', 'dropout.network'],
  ['learning_rate', 'learningRate'],
  ['lr_warmup_steps', 'lrScheduler.warmupSteps'],
  ['lr_scheduler_power', 'lrScheduler.power'],
  ['gradient_accumulation_steps', 'gradientAccumulationSteps'],
  ['max_grad_norm', 'maxGradNorm'],
  ['max_train_steps', 'maxTrainSteps'],
  ['max_train_epochs', 'maxTrainEpochs'],
  ['seed', 'seed'],
  ['clip_skip', 'clipSkip'],
  ['min_snr_gamma', 'minSnrGamma'],
  ['noise_offset', 'noiseOffset'],
  ['multires_noise_iterations', 'pyramidNoise.iterations'],
  ['multires_noise_discount', 'pyramidNoise.discount'],
  ['zero_terminal_snr', 'zeroTerminalSnr'],
  ['huber_c', 'loss.huberDelta'],
  ['huber_schedule', 'loss.huberSchedule'],
  ['prior_loss_weight', 'priorPreservation.weight'],
  ['masked_loss', 'maskedLoss'],
  ['validation_split', 'validation.split'],
  ['validate_every_n_steps', 'validation.everySteps'],
  ['validation_seed', 'validation.seed'],
  ['sample_every_n_steps', 'sampleEvery'],
  ['sample_every_n_epochs', 'sampleEveryEpochs'],
  ['save_every_n_steps', 'checkpoints.everySteps'],
];

/** The same of the dataset's file; a config may have them too. */
export const datasetArguments: readonly (readonly [string, TrainOptionPath])[] = [
  ['batch_size', 'trainBatchSize'],
  ['enable_bucket', 'buckets.enabled'],
  ['min_bucket_reso', 'buckets.minSide'],
  ['max_bucket_reso', 'buckets.maxSide'],
  ['bucket_reso_steps', 'buckets.step'],
  ['bucket_no_upscale', 'buckets.noUpscale'],
  ['random_crop', 'randomCrop'],
  ['num_repeats', 'repeats'],
  ['caption_dropout_rate', 'captionDropout'],
  ['shuffle_caption', 'shuffleTags'],
  ['keep_tokens', 'keepTokens'],
];

/** kohya's names of our choices. */
export const schedulerNames = {
  constant: 'constant',
  constantWithWarmup: 'constant_with_warmup',
  linear: 'linear',
  cosine: 'cosine',
  cosineWithRestarts: 'cosine_with_restarts',
  polynomial: 'polynomial',
} as const;

export const optimizerNames = {
  adamw: 'AdamW',
  adamw8bit: 'AdamW8bit',
  lion: 'Lion',
  prodigy: 'Prodigy',
  adafactor: 'AdaFactor',
} as const;

export const lossNames = { l2: 'l2', huber: 'huber', smoothL1: 'smooth_l1' } as const;

/** Arguments that change nothing about what is learnt here, each with the reason that is given for passing it over. */
export const passedOver: Readonly<Record<string, string>> = Object.fromEntries(
  (
    [
      [
        'the studio decides it by itself: the model is frozen in half precision and the sums are kept in single precision',
        'full_fp16 full_bf16 save_precision fp8_base no_half_vae upcast_vae',
      ],
      [
        'the studio always saves memory and time in this way',
        'gradient_checkpointing cache_latents cache_latents_to_disk xformers sdpa mem_eff_attn vae_batch_size persistent_data_loader_workers',
      ],
      [
        'there is nothing of the kind in a browser',
        'max_data_loader_n_workers lowram highvram torch_compile dynamo_backend ddp_timeout ddp_gradient_as_bucket_view ddp_static_graph console_log_level console_log_file console_log_simple deepspeed cpu_offload_checkpointing skip_cache_check disable_mmap_load_safetensors blocks_to_swap',
      ],
      [
        'files are kept in the browser and exported from there',
        'output_dir save_model_as train_data_dir image_dir reg_data_dir dataset_config config_file output_config logging_dir log_with log_prefix log_tracker_name log_tracker_config log_config wandb_run_name wandb_api_key tokenizer_cache_dir sample_prompts save_state save_state_on_train_end resume resume_from_huggingface save_state_to_huggingface huggingface_repo_id huggingface_repo_type huggingface_path_in_repo huggingface_token huggingface_repo_visibility async_upload no_metadata cache_info caption_extension caption_extention conditioning_data_dir debug_dataset',
      ],
      [
        'it is written into the file’s header from what the studio knows',
        'metadata_title metadata_author metadata_description metadata_license metadata_tags training_comment',
      ],
    ] as const
  ).flatMap(([why, names]) => names.split(' ').map((name) => [name, why])),
);

/** Arguments that would change the result, but that the studio cannot do. */
export const notSupported: Readonly<Record<string, string>> = {
  vae: 'the studio uses the VAE of the model itself',
  network_weights: 'begin from another LoRA by branching from its run instead',
  dim_from_weights: 'begin from another LoRA by branching from its run instead',
  base_weights: 'merge the LoRAs into the model first',
  base_weights_multiplier: 'merge the LoRAs into the model first',
  scale_weight_norms: 'norms are not limited',
  max_token_length: 'captions are cut after 75 tokens',
  weighted_captions: 'captions are taken as plain text',
  caption_dropout_every_n_epochs: 'captions are dropped by chance only: set the caption dropout',
  caption_tag_dropout_rate: 'whole captions are dropped, never single tags',
  caption_suffix: 'write it into the captions',
  keep_tokens_separator: 'so many tags at the start are kept instead: set “Keep tags”',
  secondary_separator: 'tags are what stands between commas',
  caption_separator: 'tags are what stands between commas',
  enable_wildcard: 'captions are taken as they stand',
  token_warmup_min: 'all tags are there from the first step',
  token_warmup_step: 'all tags are there from the first step',
  color_aug: 'colours are never changed',
  face_crop_aug_range: 'adjust the crop of each image instead',
  alpha_mask: 'paint a mask instead',
  noise_offset_random_strength: 'the strength of the noise offset is fixed',
  adaptive_noise_scale: 'the strength of the noise offset is fixed',
  ip_noise_gamma: 'the input is not perturbed further',
  ip_noise_gamma_random_strength: 'the input is not perturbed further',
  min_timestep: 'all timesteps are drawn',
  max_timestep: 'all timesteps are drawn',
  scale_v_pred_loss_like_noise_pred: 'the loss is not rescaled in this way',
  v_pred_like_loss: 'the loss is not rescaled in this way',
  debiased_estimation_loss: 'use Min-SNR weights instead',
  fused_backward_pass: 'the optimizer’s step comes after the whole backward pass',
  lr_scheduler_type: 'the schedules of the studio are those of lr_scheduler',
  lr_scheduler_args: 'the schedules of the studio are those of lr_scheduler',
  lr_decay_steps: 'the schedules of the studio are those of lr_scheduler',
  lr_scheduler_timescale: 'the schedules of the studio are those of lr_scheduler',
  lr_scheduler_min_lr_ratio: 'the schedules of the studio fall to 0',
  network_multiplier: 'the LoRA is trained at full strength',
  save_every_n_epochs: 'checkpoints are kept by steps: set “Checkpoint every”',
  save_n_epoch_ratio: 'checkpoints are kept by steps: set “Checkpoint every”',
  save_last_n_epochs: 'checkpoints are kept by steps: set “Checkpoints kept”',
  save_last_n_epochs_state: 'checkpoints are kept by steps: set “Checkpoints kept”',
  save_last_n_steps_state: 'state and adapter are kept together',
  sample_at_first: 'the first row of samples is always drawn before the first step',
  sample_sampler: 'samples are drawn with DDIM',
  v2: 'only Stable Diffusion 1.x is trained',
};
