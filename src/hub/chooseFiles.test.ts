/** Plan: the files of the real SD1.5 repository; variants, shards, extra components; what a repository is instead of a model. */
import { describe, expect, test } from 'vitest';
import { chooseFiles } from './chooseFiles.ts';

const ID = 'someone/some-model';
const CONFIGS = [
  'model_index.json',
  'unet/config.json',
  'vae/config.json',
  'text_encoder/config.json',
  'tokenizer/vocab.json',
  'tokenizer/merges.txt',
  'tokenizer/tokenizer_config.json',
  'tokenizer/special_tokens_map.json',
  'scheduler/scheduler_config.json',
];
const UNET = 'unet/diffusion_pytorch_model';
const OTHERS = ['vae/diffusion_pytorch_model.fp16.safetensors', 'text_encoder/model.fp16.safetensors'];

const weightsOf = (paths: readonly string[]) =>
  chooseFiles(ID, [...CONFIGS, ...paths]).filter((path) => !CONFIGS.includes(path));

test('of the SD1.5 repository: configs, tokenizer and one half-precision set of safetensors', () => {
  const components = [
    ['unet', 'diffusion_pytorch_model'],
    ['vae', 'diffusion_pytorch_model'],
    ['text_encoder', 'model'],
    ['safety_checker', 'model'],
  ];
  const repository = [
    ...CONFIGS,
    '.gitattributes',
    'README.md',
    'v1-5-pruned-emaonly.safetensors',
    'v1-5-pruned.ckpt',
    'v1-inference.yaml',
    'feature_extractor/preprocessor_config.json',
    'safety_checker/config.json',
    'unet/diffusion_pytorch_model.non_ema.safetensors',
    'unet/diffusion_pytorch_model.non_ema.bin',
    'vae/diffusion_flax_model.msgpack',
    ...components.flatMap(([folder, stem]) =>
      ['.safetensors', '.fp16.safetensors', '.bin', '.fp16.bin'].map((suffix) => `${folder}/${stem}${suffix}`),
    ),
  ];
  expect(chooseFiles(ID, repository).toSorted()).toEqual(
    [...CONFIGS, `${UNET}.fp16.safetensors`, ...OTHERS].toSorted(),
  );
});

test('what makes previews better, where it is there', () => {
  const extras = ['vae/latent_colours.json', 'taesd/taesd_decoder.safetensors'];
  const others = ['taesd/taesd_encoder.safetensors', 'taesd/README.md'];
  expect(weightsOf([...OTHERS, `${UNET}.safetensors`, ...extras, ...others]).toSorted()).toEqual(
    [...OTHERS, `${UNET}.safetensors`, ...extras].toSorted(),
  );
});

test('full precision where there is no half, each component by itself', () => {
  expect(weightsOf([...OTHERS, `${UNET}.safetensors`, `${UNET}.bin`])).toContain(`${UNET}.safetensors`);
  expect(weightsOf([...OTHERS, `${UNET}.safetensors`])).toContain('vae/diffusion_pytorch_model.fp16.safetensors');
});

test.each([
  [
    'full precision',
    [`${UNET}.safetensors.index.json`, `${UNET}-00001-of-00002.safetensors`, `${UNET}-00002-of-00002.safetensors`],
  ],
  [
    'half, as diffusers writes them now',
    [
      `${UNET}.safetensors.index.fp16.json`,
      `${UNET}.fp16-00001-of-00002.safetensors`,
      `${UNET}.fp16-00002-of-00002.safetensors`,
    ],
  ],
  [
    'half, as diffusers wrote them once',
    [
      `${UNET}.safetensors.index.fp16.json`,
      `${UNET}-00001-of-00002.fp16.safetensors`,
      `${UNET}-00002-of-00002.fp16.safetensors`,
    ],
  ],
])('shards come with their index: %s', (_, shards) => {
  expect(weightsOf([...OTHERS, ...shards]).filter((path) => path.startsWith('unet/'))).toEqual(shards);
});

test('an incomplete set of half-precision shards is passed over', () => {
  const paths = [
    `${UNET}.safetensors.index.fp16.json`,
    `${UNET}.fp16-00001-of-00002.safetensors`,
    `${UNET}.safetensors`,
  ];
  expect(weightsOf([...OTHERS, ...paths])).toContain(`${UNET}.safetensors`);
});

test('a second text encoder with its tokenizer comes along', () => {
  const second = [
    'text_encoder_2/config.json',
    'tokenizer_2/vocab.json',
    'tokenizer_2/merges.txt',
    'text_encoder_2/model.fp16.safetensors',
  ];
  expect(weightsOf([...OTHERS, `${UNET}.fp16.safetensors`, ...second])).toEqual(expect.arrayContaining(second));
});

describe('what is not a model says what it is', () => {
  test.each([
    [
      ['config.json', 'model.safetensors.index.json', 'README.md'],
      'has no unet/ folder: it is not a Stable Diffusion model in the diffusers layout.',
    ],
    [
      ['dreamshaper_8.safetensors', 'README.md'],
      'has no unet/ folder, only a checkpoint in a single file (dreamshaper_8.safetensors).',
    ],
    [['images/a.png', 'old.ckpt'], 'has no unet/ folder, only a checkpoint in a single file (old.ckpt).'],
    [['pytorch_lora_weights.safetensors'], 'has no unet/ folder: it looks like a LoRA, not a model.'],
    [
      ['model_index.json', 'transformer/config.json', 'vae/config.json', 'sd3_medium.safetensors'],
      'has no unet/ folder but a transformer/: a kind of model that cannot be trained here yet.',
    ],
    [CONFIGS.filter((path) => !path.startsWith('vae/')), 'has no vae/ folder.'],
    [CONFIGS.filter((path) => path !== 'tokenizer/vocab.json'), 'has no tokenizer/vocab.json.'],
    [
      CONFIGS,
      'has no weights in unet/ (diffusion_pytorch_model.safetensors or diffusion_pytorch_model.fp16.safetensors).',
    ],
    [
      [...CONFIGS, `${UNET}.bin`],
      'has the weights of unet/ only in a form that can run code (.bin), which is not read here.',
    ],
  ])('%j', (paths, finding) => {
    expect(() => chooseFiles(ID, paths)).toThrow(
      expect.objectContaining({ code: 'not-a-model', message: `${ID} ${finding}`, id: ID }),
    );
  });
});
