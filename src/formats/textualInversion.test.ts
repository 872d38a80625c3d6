// Plan: both forms, one row and several; every fault with its reason; the tensor's values and names as they are.
import { describe, expect, it } from 'vitest';
import { bytesSource } from '../core/files.ts';
import { encodeSafetensors, type TensorToWrite } from './safetensors.ts';
import { readTextualInversion } from './textualInversion.ts';

const f32 = (name: string, shape: readonly number[], first = 0): TensorToWrite => ({
  name,
  dtype: 'F32',
  shape,
  data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => first + i),
});
const read = (file: string, ...tensors: readonly TensorToWrite[]): ReturnType<typeof readTextualInversion> =>
  readTextualInversion(bytesSource(file, encodeSafetensors(tensors)), { width: 4, longest: 75 });

describe('textual inversion', () => {
  it("reads A1111's form, named as the file", async () => {
    expect(await read('embeddings/bad hands-5.safetensors', f32('emb_params', [2, 4]))).toEqual({
      names: ['bad hands-5'],
      vectors: [Float32Array.of(0, 1, 2, 3), Float32Array.of(4, 5, 6, 7)],
    });
  });

  it("reads diffusers' form, named as the file and as the word in it", async () => {
    expect(await read('learned_embeds.safetensors', f32('<cat-toy>', [4]))).toEqual({
      names: ['learned_embeds', '<cat-toy>'],
      vectors: [Float32Array.of(0, 1, 2, 3)],
    });
  });

  it.each<readonly [string, string, readonly TensorToWrite[]]>([
    ['pickle', 'style.pt', [f32('emb_params', [1, 4])]],
    ['sdxl', 'xl.safetensors', [f32('clip_g', [1, 4]), f32('clip_l', [1, 4])]],
    ['not-embedding', 'lora.safetensors', [f32('a', [1, 4]), f32('b', [1, 4])]],
    ['not-embedding', 'empty.safetensors', []],
    ['not-embedding', 'conv.safetensors', [f32('emb_params', [1, 2, 4])]],
    ['not-embedding', 'rows.safetensors', [f32('emb_params', [0, 4])]],
    ['wrong-width', 'sd2.safetensors', [f32('emb_params', [1, 5])]],
    ['too-long', 'long.safetensors', [f32('emb_params', [76, 4])]],
    ['not-finite', 'nan.safetensors', [f32('emb_params', [1, 4], NaN)]],
  ])('refuses %s: %s', async (reason, file, tensors) => {
    await expect(read(file, ...tensors)).rejects.toMatchObject({ code: 'textual-inversion', reason, file });
  });

  it('knows a pickle by its first bytes', async () => {
    for (const bytes of [Uint8Array.of(0x80, 2, 0x7d), new TextEncoder().encode('PK\x03\x04...')]) {
      await expect(
        readTextualInversion(bytesSource('x.safetensors', bytes), { width: 4, longest: 75 }),
      ).rejects.toMatchObject({ reason: 'pickle' });
    }
  });
});
