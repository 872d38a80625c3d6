// Plan: LoRA files of the oracle are added with what they hold, broken ones refused by name; the same file is one entry; what was
// added is read for a model, once; a file from a Hub; embeddings that fit a model; removing and bringing back.
import 'fake-indexeddb/auto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { IDBFactory } from 'fake-indexeddb';
import { beforeEach, expect, test, vi } from 'vitest';
import { startHub } from '../../tools/hub/server.ts';
import { writeFiles } from '../../tools/hub/testing.ts';
import { fixtureTree } from '../../tools/testing.ts';
import { encodeSafetensors } from '../formats/safetensors.ts';
import { openDiffusionModel } from '../models/repository.ts';
import { RunStore } from '../storage/runStore.ts';
import { Library } from './library.ts';
import type { RequestContext } from './server.ts';

const folder = 'fixtures/sd15-tiny/lora';
const context: RequestContext = { signal: new AbortController().signal, emit: () => {} };

async function file(path: string, name = path.split('/').at(-1)!): Promise<File> {
  return new File([await readFile(`${folder}/${path}`)], name);
}

let library: Library;
beforeEach(() => {
  vi.stubGlobal('indexedDB', new IDBFactory());
  library = new Library(new RunStore());
});

test('files are added with what they hold; broken ones are refused by name', async () => {
  const handlers = library.handlers();
  const files = [
    await file('kohya/unet_te.safetensors', 'ink.safetensors'),
    await file('bad/truncated.safetensors'),
    await file('bad/unknown_keys.safetensors'),
    await file('kohya/locon.safetensors'),
  ];
  const { added, refused } = await handlers['loras.add']({ files }, context);
  expect(added.map(({ name, about }) => [name, about.form, about.problem])).toEqual([
    ['ink', 'kohya', null],
    ['locon', 'kohya', null],
  ]);
  expect(added[0]!.about.textEncoderModules).toBeGreaterThan(0);
  expect(added[1]!.about.kinds).toContain('LoCon');
  expect(refused.map(({ fileName }) => fileName)).toEqual(['truncated.safetensors', 'unknown_keys.safetensors']);
  for (const { error } of refused) expect(error.remedy).not.toBe('');
  expect((await handlers['loras.list']({}, context)).map(({ name }) => name).sort()).toEqual(['ink', 'locon']);
  // The same bytes under another name are the same entry.
  await handlers['loras.add']({ files: [await file('kohya/unet_te.safetensors', 'other.safetensors')] }, context);
  expect((await handlers['loras.list']({}, context)).map(({ name }) => name).sort()).toEqual(['locon', 'other']);
});

test('what was added is read for a model, once, and can be looked into, renamed, removed, brought back and saved', async () => {
  const handlers = library.handlers();
  const { added } = await handlers['loras.add']({ files: [await file('kohya/unet.safetensors')] }, context);
  const { id } = added[0]!;
  const source = { kind: 'file', loraId: id } as const;
  const model = await openDiffusionModel(await fixtureTree('sd15-tiny/model'));
  const first = await library.sources.adapter(source, model);
  expect(first.adapter.modules.size).toBeGreaterThan(0);
  expect(first.hash).toMatch(/^[0-9a-f]{12}$/);
  expect(await library.sources.adapter(source, model)).toBe(first);
  const info = await handlers['loras.info']({ source }, context);
  expect(info).toMatchObject({ fileName: 'unet.safetensors', about: { form: 'kohya' } });
  expect(info.tools.map(({ tool }) => tool)).toContain('ComfyUI');
  const dropped = await handlers['loras.info'](
    { file: await file('kohya/unet.safetensors', 'x.safetensors') },
    context,
  );
  expect(dropped).toEqual({ ...info, name: 'x', fileName: 'x.safetensors' });
  await handlers['loras.rename']({ id, name: 'my style' }, context);
  expect((await library.sources.adapter(source, model)).name).toBe('my style');
  await handlers['loras.remove']({ ids: [id] }, context);
  await expect(library.sources.adapter(source, model)).rejects.toMatchObject({ code: 'library-file-not-stored' });
  await handlers['loras.restore']({ ids: [id] }, context);
  const saved = await handlers['loras.export']({ id }, context);
  expect(new Uint8Array(await saved.blob.arrayBuffer())).toEqual(
    new Uint8Array(await readFile(`${folder}/kohya/unet.safetensors`)),
  );
});

test('a file comes from a Hub, with where it is from and how far it is', async () => {
  const root = await mkdtemp(join(tmpdir(), 'hub-'));
  await writeFiles(root, { 'artist/ink/ink.safetensors': await readFile(`${folder}/kohya/unet.safetensors`) });
  const hub = await startHub({ root });
  try {
    const seen: string[] = [];
    const handlers = library.handlers();
    const added = await handlers['loras.addFromHub'](
      { id: 'artist/ink', endpoint: hub.url },
      { ...context, emit: (type) => void seen.push(type) },
    );
    expect(added).toMatchObject({
      name: 'ink',
      origin: { kind: 'hub', repoId: 'artist/ink', path: 'ink.safetensors' },
    });
    expect(seen).toContain('download.progress');
  } finally {
    await hub.close();
    await rm(root, { recursive: true });
  }
});

test('embeddings that fit a model are what its prompts may name', async () => {
  const handlers = library.handlers();
  const model = await openDiffusionModel(await fixtureTree('sd15-tiny/model'));
  const embedding = (name: string, rows: number, width: number): File =>
    new File(
      [
        encodeSafetensors([
          {
            name: 'emb_params',
            dtype: 'F32',
            shape: [rows, width],
            data: new Float32Array(rows * width).fill(0.5),
          },
        ]),
      ],
      name,
    );
  const { hiddenSize } = model.textConfig;
  const files = [
    embedding('cat-toy.safetensors', 2, hiddenSize),
    embedding('big.safetensors', 1, hiddenSize + 1),
    new File([Uint8Array.of(0x80, 2, 0x7d)], 'old.pt'),
  ];
  const { added, refused } = await handlers['embeddings.add']({ files }, context);
  expect(added).toMatchObject([
    { names: ['cat-toy'], tokens: 2, width: hiddenSize },
    { names: ['big'], tokens: 1 },
  ]);
  expect(refused).toMatchObject([{ fileName: 'old.pt', error: { code: 'textual-inversion' } }]);
  const usable = await library.embeddingsFor(model);
  expect(usable.map(({ name, vectors }) => [name, vectors.length])).toEqual([['cat-toy', 2]]);
  // The same objects again: remembered prompts stay remembered.
  expect((await library.embeddingsFor(model))[0]).toBe(usable[0]);
  expect(await library.embeddingsFor(model, [])).toEqual([]);
  await handlers['embeddings.remove']({ ids: [added[0]!.id] }, context);
  expect(await library.embeddingsFor(model)).toEqual([]);
});
