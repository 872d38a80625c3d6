/**
 * The weights of one component (UNet, VAE, text encoder) of a diffusers-layout repository: which of the files in its folder to take,
 * and how to read several shards as one. Half precision is preferred, for training keeps the frozen weights in halves anyway.
 */
import { LoratoryError } from '../core/errors.ts';
import { type FileTree, readText } from '../core/files.ts';
import { defined } from '../core/invariant.ts';
import { parsePythonJson } from './pythonJson.ts';
import { openSafetensors, SafetensorsError, type SafetensorsFile } from './safetensors.ts';

const PICKLE = /\.(bin|ckpt|pt|pth|pkl)$/;

/** What people call the component in a folder of a repository. */
const COMPONENTS: Readonly<Record<string, string>> = {
  unet: 'UNet',
  vae: 'VAE',
  text_encoder: 'text encoder',
  text_encoder_2: 'second text encoder',
};

/** A repository has no weights in safetensors form for one of the model's components. */
export class NoModelWeightsError extends LoratoryError {
  readonly code = 'no-model-weights';

  constructor(repository: string, folder: string, pickles: readonly string[]) {
    const component = COMPONENTS[folder] ?? folder;
    const found =
      pickles.length === 0
        ? ''
        : ` It has them only as pickles (${pickles.join(', ')}), which Loratory refuses, because reading a pickle runs whatever program is in it.`;
    super(
      `${repository} has no ${component} weights in safetensors form (looked in ${folder === '' ? 'its root' : `${folder}/`}).${found}`,
      'Choose a repository in the diffusers layout with .safetensors files, such as stable-diffusion-v1-5/stable-diffusion-v1-5.',
      { repository, folder, pickles },
    );
  }
}

/** The index of a sharded model is malformed, or does not agree with its shards. */
export class ShardIndexError extends LoratoryError {
  readonly code = 'shard-index';

  constructor(repository: string, path: string, reason: string) {
    super(
      `${repository}: ${path} ${reason}.`,
      'Download the repository again; if it stays so, it was uploaded incomplete.',
      { repository, path, reason },
    );
  }
}

/** Names of the weights and of the shards' index, best first. transformers' and diffusers' libraries put the variant in two places. */
const STEMS = ['diffusion_pytorch_model', 'model'];
const PREFERRED = ['.fp16', ''].flatMap((variant) =>
  STEMS.flatMap((stem) => [
    `${stem}${variant}.safetensors`,
    `${stem}${variant}.safetensors.index.json`,
    ...(variant === '' ? [] : [`${stem}.safetensors.index${variant}.json`]),
  ]),
);

/** The file of `folder` to read the weights from: a .safetensors file or the index of shards; undefined if there is none. */
function chooseWeights(tree: FileTree, folder: string): string | undefined {
  const inFolder = (name: string): string => (folder === '' ? name : `${folder}/${name}`);
  const preferred = PREFERRED.map(inFolder).find((path) => tree.has(path));
  if (preferred !== undefined) return preferred;
  // Anything else (non_ema, bf16 ...) only where there is no choice to get wrong.
  const others = filesIn(tree, folder).filter((path) => path.endsWith('.safetensors'));
  return others.length === 1 ? others[0] : undefined;
}

function filesIn(tree: FileTree, folder: string): readonly string[] {
  const prefix = folder === '' ? '' : `${folder}/`;
  return tree.list().filter((path) => path.startsWith(prefix) && !path.slice(prefix.length).includes('/'));
}

/** The paths that a model needs from `folder`: one .safetensors file, or an index and, once that is known, its shards. */
export function weightPaths(tree: FileTree, folder: string): readonly string[] {
  const chosen = chooseWeights(tree, folder);
  if (chosen === undefined) return [];
  if (!chosen.endsWith('.json')) return [chosen];
  const isShard = chosen.includes('fp16') ? /fp16.*-\d+-of-\d+|-\d+-of-\d+.*fp16/ : /^(?!.*fp16).*-\d+-of-\d+/;
  return [chosen, ...filesIn(tree, folder).filter((path) => path.endsWith('.safetensors') && isShard.test(path))];
}

/**
 * Opens the weights in `folder` (e.g. `unet`) of a repository. Rejects with {@link NoModelWeightsError} if there are none in
 * safetensors form, {@link ShardIndexError} if an index and its shards disagree, SafetensorsError if a file is malformed.
 */
export async function openModelWeights(tree: FileTree, folder: string): Promise<SafetensorsFile> {
  const chosen = chooseWeights(tree, folder);
  if (chosen === undefined) {
    throw new NoModelWeightsError(
      tree.name,
      folder,
      filesIn(tree, folder).filter((path) => PICKLE.test(path)),
    );
  }
  return chosen.endsWith('.json') ? openShards(tree, folder, chosen) : openSafetensors(await tree.open(chosen));
}

async function openShards(tree: FileTree, folder: string, indexPath: string): Promise<SafetensorsFile> {
  const fault = (reason: string): ShardIndexError => new ShardIndexError(tree.name, indexPath, reason);
  const index = parsePythonJson(indexPath, await readText(await tree.open(indexPath)));
  const map = typeof index === 'object' && index !== null && 'weight_map' in index ? index.weight_map : undefined;
  if (typeof map !== 'object' || map === null || Object.keys(map).length === 0) throw fault('names no weights');

  const shards = new Map<string, SafetensorsFile>();
  const shardOf = new Map<string, SafetensorsFile>();
  for (const [tensor, shardName] of Object.entries(map)) {
    if (typeof shardName !== 'string' || !/^[^/\\]+\.safetensors$/.test(shardName)) {
      throw fault(`puts ${tensor} into ${JSON.stringify(shardName)}, which is no file beside it`);
    }
    let shard = shards.get(shardName);
    if (shard === undefined) {
      const path = folder === '' ? shardName : `${folder}/${shardName}`;
      if (!tree.has(path)) throw fault(`names the shard ${shardName}, which is missing`);
      shard = await openSafetensors(await tree.open(path));
      shards.set(shardName, shard);
    }
    if (!shard.has(tensor)) throw fault(`puts ${tensor} into ${shardName}, which does not have it`);
    shardOf.set(tensor, shard);
  }

  const first = defined(shards.values().next().value, 'first shard');
  const holder = (name: string): SafetensorsFile => {
    const shard = shardOf.get(name);
    if (shard === undefined) throw new SafetensorsError(indexPath, 'missing-tensor', `it has no tensor "${name}"`);
    return shard;
  };
  return {
    fileName: indexPath,
    metadata: first.metadata,
    names: () => [...shardOf.keys()],
    has: (name) => shardOf.has(name),
    info: (name) => holder(name).info(name),
    readBytes: async (name, range) => holder(name).readBytes(name, range),
    readFloat32: async (name) => holder(name).readFloat32(name),
    readFloat16: async (name) => holder(name).readFloat16(name),
    readInts: async (name) => holder(name).readInts(name),
  };
}
