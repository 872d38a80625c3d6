// Plan: tags become files of the folder with their weights; what does nothing is said; hashes are computed, whatever a header says; embeddings by both names; what is not there.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { bytesSource } from '../core/files.ts';
import { encodeSafetensors, openSafetensors } from '../formats/safetensors.ts';
import { openDiffusionModel } from '../models/repository.ts';
import { folderTree } from './nodeFiles.ts';
import { openEmbeddings, openLoras, taggedLoras } from './promptFiles.ts';

const loraFolder = 'fixtures/sd15-tiny/lora/kohya';
const openTiny = async () => openDiffusionModel(await folderTree('fixtures/sd15-tiny/model'));
let folder = '';

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'loratory-prompt-'));
});
afterEach(async () => {
  vi.restoreAllMocks();
  await rm(folder, { recursive: true });
});

describe('files of a prompt', () => {
  test('tags become options, and say what does nothing', () => {
    const write = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    expect(taggedLoras('a <lora:x:0.5> <lora:y:0.2:1> <hypernet:h:1>', 'loras')).toEqual([
      { path: join('loras', 'x.safetensors'), weight: 0.5, textEncoderWeight: 0.5 },
      { path: join('loras', 'y.safetensors'), weight: 1, textEncoderWeight: 0.2 },
    ]);
    expect(write.mock.calls.map(([text]) => text)).toEqual(['<hypernet:h:1> in the prompt does nothing.\n']);
  });

  test('a LoRA is opened with its name, weights and hash', async () => {
    const [lora, ...more] = await openLoras(taggedLoras('<lora:unet_te:0.5:1>', loraFolder), await openTiny());
    expect(more).toEqual([]);
    expect(lora).toMatchObject({ name: 'unet_te', weight: 1, textEncoderWeight: 0.5 });
    expect(lora?.hash).toMatch(/^[0-9a-f]{12}$/);
    expect(lora?.adapter.modules.size).toBeGreaterThan(0);
    // A header that states the hash of other tensors is not believed.
    const bytes = await readFile(join(loraFolder, 'unet_te.safetensors'));
    const file = await openSafetensors(bytesSource('unet_te', new Uint8Array(bytes)));
    const tensors = [];
    for (const name of file.names()) {
      const { dtype, shape } = file.info(name);
      tensors.push({ name, dtype, shape, data: await file.readBytes(name) });
    }
    const liar = encodeSafetensors(tensors, { ...file.metadata, sshs_model_hash: '0'.repeat(64) });
    await writeFile(join(folder, 'liar.safetensors'), liar);
    const [lying] = await openLoras(taggedLoras('<lora:liar>', folder), await openTiny());
    expect(lying?.hash).toBe(lora?.hash);
    await expect(openLoras(taggedLoras('<lora:nope>', loraFolder), await openTiny())).rejects.toMatchObject({
      code: 'file-not-found',
    });
  });

  test('embeddings are known by both of their names', async () => {
    const model = await openTiny();
    const width = model.textConfig.hiddenSize;
    const path = join(folder, 'toy.safetensors');
    await writeFile(
      path,
      encodeSafetensors([{ name: '<cat-toy>', dtype: 'F32', shape: [2, width], data: new Float32Array(2 * width) }]),
    );
    const embeddings = await openEmbeddings([path], model);
    expect(embeddings.map(({ name, vectors }) => [name, vectors.length])).toEqual([
      ['toy', 2],
      ['<cat-toy>', 2],
    ]);
    await expect(openEmbeddings([join(folder, 'nope')], model)).rejects.toMatchObject({ code: 'file-not-found' });
  });
});
