/**
 * For tests that train many steps: a model of random weights with a few layers of every kind, so that a training step takes a fraction of what
 * it takes with the tiny model in fixtures/. Pictures of 16 px have latents of 8 x 8.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { folderTree } from '../src/cli/nodeFiles.ts';
import type { FileTree } from '../src/core/files.ts';
import { openDiffusionModel, type DiffusionModel } from '../src/models/repository.ts';
import { sd15Configs } from './fullsize/configs.ts';
import { type ModelConfigs, writeRandomModel } from './fullsize/write.ts';

const tokenizer = fileURLToPath(new URL('../fixtures/sd15-tiny/model/tokenizer', import.meta.url));

const configs: ModelConfigs = {
  ...sd15Configs,
  'unet/config.json': {
    ...sd15Configs['unet/config.json'],
    block_out_channels: [32, 32],
    cross_attention_dim: 32,
    down_block_types: ['DownBlock2D', 'CrossAttnDownBlock2D'],
    up_block_types: ['CrossAttnUpBlock2D', 'UpBlock2D'],
    layers_per_block: 1,
    sample_size: 8,
  },
  'vae/config.json': {
    ...sd15Configs['vae/config.json'],
    block_out_channels: [32, 32],
    down_block_types: ['DownEncoderBlock2D', 'DownEncoderBlock2D'],
    up_block_types: ['UpDecoderBlock2D', 'UpDecoderBlock2D'],
    layers_per_block: 1,
    sample_size: 16,
  },
  'text_encoder/config.json': {
    ...sd15Configs['text_encoder/config.json'],
    bos_token_id: 1512,
    eos_token_id: 1513,
    hidden_size: 32,
    intermediate_size: 64,
    num_attention_heads: 4,
    num_hidden_layers: 1,
    vocab_size: 1514,
  },
};

export interface Miniature {
  readonly folder: string;
  readonly tree: FileTree;
  readonly model: DiffusionModel;
  /** Deletes the folder. */
  remove(): Promise<void>;
}

/** Writes the model into a temporary folder. */
export async function writeMiniature(): Promise<Miniature> {
  const folder = await mkdtemp(join(tmpdir(), 'loratory-miniature-'));
  await writeRandomModel(folder, tokenizer, { configs });
  const tree = await folderTree(folder);
  const model = await openDiffusionModel(tree);
  return { folder, tree, model, remove: () => rm(folder, { recursive: true }) };
}
