/** What the tests of the Hub and of its client share: repositories on the disk. */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** Writes files, given by their paths under `root`. */
export async function writeFiles(root: string, files: Readonly<Record<string, string | Uint8Array>>): Promise<void> {
  for (const [path, contents] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), contents);
  }
}

/** Bytes that look random and are the same every time. */
export function noise(length: number, seed: number): Uint8Array<ArrayBuffer> {
  let state = seed;
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state >>> 24;
  });
}

/** The files of a small repository in the layout of Stable Diffusion 1.5. Its weights are noise. */
export function modelFiles(id: string, seed = 1): Record<string, string | Uint8Array<ArrayBuffer>> {
  const files = {
    'README.md': '# A model',
    'model_index.json': '{"_class_name": "StableDiffusionPipeline"}',
    'scheduler/scheduler_config.json': '{"num_train_timesteps": 1000}',
    'tokenizer/vocab.json': '{"a": 0}',
    'tokenizer/merges.txt': '#version: 0.2\n',
    'text_encoder/config.json': '{"hidden_size": 8}',
    'text_encoder/model.fp16.safetensors': noise(3000, seed + 1),
    'unet/config.json': '{"in_channels": 4}',
    'unet/diffusion_pytorch_model.fp16.safetensors': noise(10_240, seed + 2),
    'unet/diffusion_pytorch_model.non_ema.safetensors': noise(500, 3),
    'vae/config.json': '{"latent_channels": 4}',
    'vae/diffusion_pytorch_model.fp16.safetensors': noise(4096, seed + 4),
    'vae/diffusion_pytorch_model.bin': noise(500, 5),
    'safety_checker/model.safetensors': noise(500, 6),
  };
  return Object.fromEntries(Object.entries(files).map(([path, contents]) => [`${id}/${path}`, contents]));
}
