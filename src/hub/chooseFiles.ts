/**
 * Which files of a diffusers repository to fetch: configs, tokenizer files and one set of weights per component.
 *
 * Weights are safetensors only (a pickle can run code), half precision before full, one file before shards, and never a
 * second copy of the same weights (non_ema, flax, onnx, single-file checkpoints).
 * File names: diffusers `utils/constants.py` and `models/model_loading_utils.py`, transformers `utils/__init__.py`.
 */
import { LoratoryError } from '../core/errors.ts';

/** The repository has not the layout of a Stable Diffusion model, or lacks a part of it. */
export class NotAModelError extends LoratoryError {
  readonly code = 'not-a-model';

  /** `finding` goes on from "<id> ". */
  constructor(
    readonly id: string,
    finding: string,
    remedy: string = 'Choose a Stable Diffusion model in the diffusers layout, such as stable-diffusion-v1-5/stable-diffusion-v1-5.',
  ) {
    super(`${id} ${finding}`, remedy, { id, finding });
  }
}

interface Component {
  /** Folder names; a number sets apart further components of the kind (`text_encoder_2`). */
  readonly folder: RegExp;
  /** The folder that must be there. */
  readonly name: string;
  readonly required: readonly string[];
  readonly optional?: readonly string[];
  /** Name of the weights without suffixes. */
  readonly weights?: string;
}

const COMPONENTS: readonly Component[] = [
  { folder: /^unet$/, name: 'unet', required: ['config.json'], weights: 'diffusion_pytorch_model' },
  { folder: /^vae$/, name: 'vae', required: ['config.json'], weights: 'diffusion_pytorch_model' },
  { folder: /^text_encoder(_\d+)?$/, name: 'text_encoder', required: ['config.json'], weights: 'model' },
  {
    folder: /^tokenizer(_\d+)?$/,
    name: 'tokenizer',
    required: ['vocab.json', 'merges.txt'],
    optional: ['tokenizer_config.json', 'special_tokens_map.json'],
  },
  { folder: /^scheduler$/, name: 'scheduler', required: ['scheduler_config.json'] },
];

/** What makes previews better where a repository brings it: see models/taesd.ts and models/repository.ts. */
const EXTRAS: readonly string[] = ['vae/latent_colours.json', 'taesd/taesd_decoder.safetensors'];

/**
 * The paths to fetch out of all `paths` of the repository `id`: small files first, so that a bad configuration shows early.
 * Throws {@link NotAModelError} that says what is missing or what the repository is instead.
 */
export function chooseFiles(id: string, paths: readonly string[]): string[] {
  const all = new Set(paths);
  const folders = new Set(paths.filter((path) => path.includes('/')).map((path) => path.slice(0, path.indexOf('/'))));
  if (!folders.has('unet')) throw notAModel(id, paths, folders);

  const foldersOf = ({ folder }: Component) => [...folders].filter((name) => folder.test(name)).sort();
  const configs = all.has('model_index.json') ? ['model_index.json'] : [];
  for (const component of COMPONENTS) {
    if (!folders.has(component.name)) throw new NotAModelError(id, `has no ${component.name}/ folder.`);
    for (const folder of foldersOf(component)) {
      for (const name of component.required) {
        if (!all.has(`${folder}/${name}`)) throw new NotAModelError(id, `has no ${folder}/${name}.`);
        configs.push(`${folder}/${name}`);
      }
      configs.push(...(component.optional ?? []).map((name) => `${folder}/${name}`).filter((path) => all.has(path)));
    }
  }
  const weights = COMPONENTS.flatMap((component) => {
    const { weights: stem } = component;
    return stem === undefined ? [] : foldersOf(component).flatMap((folder) => chooseWeights(id, folder, stem, paths));
  });
  return [...configs, ...EXTRAS.filter((path) => all.has(path)), ...weights];
}

/** One set of weights of a component: a single file, or shards with their index. */
function chooseWeights(id: string, folder: string, stem: string, paths: readonly string[]): string[] {
  const names = paths.filter((path) => path.startsWith(`${folder}/`)).map((path) => path.slice(folder.length + 1));
  for (const variant of ['.fp16', '']) {
    const single = `${stem}${variant}.safetensors`;
    const chosen = names.includes(single) ? [single] : chooseShards(names, stem, variant);
    if (chosen !== null) return chosen.map((name) => `${folder}/${name}`);
  }
  if (names.some((name) => /\.(bin|ckpt|pt|pth)$/.test(name))) {
    throw new NotAModelError(
      id,
      `has the weights of ${folder}/ only in a form that can run code (.bin), which is not read here.`,
      'Choose a revision or a copy of the model with .safetensors files; many repositories have one as a pull request.',
    );
  }
  throw new NotAModelError(id, `has no weights in ${folder}/ (${stem}.safetensors or ${stem}.fp16.safetensors).`);
}

/** A complete set of shards with its index. The variant stands before or behind the number, as the writer's age has it. */
function chooseShards(names: readonly string[], stem: string, variant: string): string[] | null {
  const indexNames = [`${stem}.safetensors.index${variant}.json`, `${stem}${variant}.safetensors.index.json`];
  const index = indexNames.find((name) => names.includes(name));
  const [before, behind] = [`${stem}${variant}-`, `${variant}.safetensors`];
  const forms = [
    (number: string) => `${before}${number}.safetensors`,
    (number: string) => `${stem}-${number}${behind}`,
  ];
  for (const form of forms) {
    const count = names
      .map((name) => /-00001-of-(\d{5})/.exec(name)?.[1])
      .find((total) => names.includes(form(`00001-of-${total}`)));
    if (index === undefined || count === undefined) continue;
    const shards = Array.from({ length: Number(count) }, (_, i) =>
      form(`${String(i + 1).padStart(5, '0')}-of-${count}`),
    );
    if (shards.every((shard) => names.includes(shard))) return [index, ...shards];
  }
  return null;
}

/** What a repository without a UNet is instead, as far as its file names tell. */
function notAModel(id: string, paths: readonly string[], folders: ReadonlySet<string>): NotAModelError {
  const atRoot = paths.filter((path) => !path.includes('/'));
  if (atRoot.some((path) => /lora.*\.safetensors$/i.test(path)) || atRoot.includes('adapter_model.safetensors')) {
    return new NotAModelError(
      id,
      'has no unet/ folder: it looks like a LoRA, not a model.',
      'Choose the model that the LoRA was trained on; its page names it as the base model.',
    );
  }
  const checkpoint = atRoot.find((path) => /\.(safetensors|ckpt)$/.test(path));
  if (checkpoint !== undefined && folders.size === 0) return singleFile(id, checkpoint);
  if (folders.has('transformer')) {
    return new NotAModelError(
      id,
      'has no unet/ folder but a transformer/: a kind of model that cannot be trained here yet.',
    );
  }
  if (checkpoint !== undefined) return singleFile(id, checkpoint);
  return new NotAModelError(id, 'has no unet/ folder: it is not a Stable Diffusion model in the diffusers layout.');
}

function singleFile(id: string, checkpoint: string): NotAModelError {
  return new NotAModelError(
    id,
    `has no unet/ folder, only a checkpoint in a single file (${checkpoint}).`,
    'Choose a copy of the model in the diffusers layout: its file list shows unet/, vae/ and text_encoder/ folders.',
  );
}
