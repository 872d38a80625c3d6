// Plan: a sample set takes the way of dropped files, with captions; into an empty dataset it brings trigger, prompts and
// preset, which Undo takes back; beside the person's images it brings pictures only, unless it is to replace them; "Try it now"
// chooses the demo model and keeps what is there; what the server does not have is named.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { StudioClient } from '../worker/client.ts';
import type { DatasetImage, ListedModel, Requests } from '../worker/protocol.ts';
import { createStudioStore } from './createStudioStore.ts';
import { presetInForm } from './modelDefaults.ts';
import { runNameOf, samplePromptsOf } from './trainRequest.ts';

const index = {
  sets: [
    {
      id: 'ink',
      title: 'Ink',
      description: 'Black on white.',
      preset: 'character',
      trigger: 'inky',
      samplePrompts: ['ink drawing of a cat', 'ink drawing of a pear'],
      images: [
        { file: 'ink/owl.png', caption: 'ink drawing of an owl' },
        { file: 'ink/bee.png', caption: 'ink drawing of a bee' },
      ],
    },
  ],
};

const demo: ListedModel = {
  id: 'demo',
  revision: '',
  bytes: 1,
  savedAt: 0,
  imageSize: 64,
  sizeUnit: 4,
  isBuiltIn: true,
};

const image = (id: string, caption: string): DatasetImage => ({
  id,
  fileName: `${id}.png`,
  width: 64,
  height: 64,
  caption,
  repeats: null,
  crop: null,
  heldOut: false,
  hasAlpha: false,
  contentHash: id,
  thumbnail: new Blob(),
  mask: null,
});

/** What the server has, by the path below samples/. */
let served: Record<string, Response>;
/** The texts of the files of each request, by path. */
let added: Readonly<Record<string, string>>[];
let removed: (readonly string[])[];

function setUp() {
  const request = async (type: string, payload: unknown): Promise<unknown> => {
    if (type === 'models.list') return [demo];
    if (type === 'storage.info') return { usageBytes: 0, quotaBytes: 0, persisted: false };
    if (type === 'dataset.remove') {
      removed.push((payload as { ids: string[] }).ids);
      return null;
    }
    if (type !== 'dataset.add') throw new Error(type);
    const { files } = payload as Requests['dataset.add'][0];
    const texts = new Map(await Promise.all(files.map(async ({ path, file }) => [path, await file.text()] as const)));
    added.push(Object.fromEntries(texts));
    const stems = [...texts.keys()].filter((path) => path.endsWith('.png')).map((path) => path.slice(0, -4));
    return {
      added: stems.map((stem) => image(stem, texts.get(`${stem}.txt`) ?? '')),
      changed: [],
      refused: [],
    };
  };
  const client = { request, on: () => () => undefined, onCrash: () => () => undefined };
  return createStudioStore(client as unknown as StudioClient);
}

beforeEach(() => {
  added = [];
  removed = [];
  served = {
    'index.json': new Response(JSON.stringify(index)),
    'ink/owl.png': new Response('owl'),
    'ink/bee.png': new Response('bee'),
  };
  vi.stubGlobal('fetch', async (url: string) => {
    const answer = served[url.slice(url.indexOf('/samples/') + '/samples/'.length)];
    return answer ?? new Response('', { status: 404 });
  });
});
afterEach(() => vi.unstubAllGlobals());

test('into an empty dataset: files with captions, trigger, prompts and preset; Undo takes them back', async () => {
  const store = setUp();
  await store.getState().modelsRefreshed();
  await store.getState().samplesNeeded();
  await store.getState().sampleSetChosen('ink', 'add');
  expect(added[0]).toEqual({
    'ink-owl.png': 'owl',
    'ink-owl.txt': 'ink drawing of an owl',
    'ink-bee.png': 'bee',
    'ink-bee.txt': 'ink drawing of a bee',
  });
  const state = store.getState();
  expect(state.triggerWord).toBe('inky');
  expect(runNameOf(state)).toBe('Ink');
  expect(samplePromptsOf(state)).toEqual([
    { prompt: 'ink drawing of a cat', seed: 42 },
    { prompt: 'ink drawing of a pear', seed: 43 },
  ]);
  expect(presetInForm(state.trainForm, 'demo')).toBe('character');
  expect(state.sampleSetLoading).toBeNull();

  const toast = state.toasts.at(-1);
  expect(toast?.title).toBe('“Ink” added');
  toast?.action?.run();
  await vi.waitFor(() => expect(removed).toEqual([['ink-owl', 'ink-bee']]));
  expect(store.getState()).toMatchObject({ triggerWord: '', editedPrompts: null, editedRunName: null });
});

test('beside the person’s images it changes nothing else; replacing puts those aside', async () => {
  const store = setUp();
  store.setState({ images: [image('mine', 'my dog')], triggerWord: 'sks', editedPrompts: null });
  await store.getState().samplesNeeded();
  await store.getState().sampleSetChosen('ink', 'add');
  expect(store.getState()).toMatchObject({ triggerWord: 'sks', editedPrompts: null });
  expect(store.getState().images.map(({ id }) => id)).toEqual(['mine', 'ink-owl', 'ink-bee']);
  expect(removed).toEqual([]);

  served['ink/owl.png'] = new Response('owl');
  served['ink/bee.png'] = new Response('bee');
  store.setState({ images: [image('mine', 'my dog')] });
  await store.getState().sampleSetChosen('ink', 'replace');
  expect(removed).toEqual([['mine']]);
  expect(store.getState().images.map(({ id }) => id)).toEqual(['ink-owl', 'ink-bee']);
  expect(store.getState().triggerWord).toBe('inky');
});

test('"Try it now" chooses the demo model, fills an empty dataset, and opens the Train room', async () => {
  const store = setUp();
  await store.getState().modelsRefreshed();
  store.setState({ selectedModelId: null });
  await store.getState().demoTried();
  expect(store.getState()).toMatchObject({ selectedModelId: 'demo', room: 'train' });
  expect(store.getState().images).toHaveLength(2);
  await store.getState().demoTried();
  expect(added).toHaveLength(1);
});

test('a missing list or picture is named, and leaves everything as it was', async () => {
  const store = setUp();
  delete served['ink/bee.png'];
  await store.getState().samplesNeeded();
  await store.getState().sampleSetChosen('ink', 'replace');
  expect(store.getState().toasts.at(-1)?.detail).toContain('ink/bee.png could not be fetched: the server answered 404');
  expect(store.getState()).toMatchObject({ triggerWord: '', sampleSetLoading: null });
  expect(added).toEqual([]);

  served['index.json'] = new Response('<!doctype html>');
  const another = setUp();
  await another.getState().samplesNeeded();
  expect(another.getState().samplesError?.message).toContain('what came is no list of sets');
  served['index.json'] = new Response(JSON.stringify(index));
  await another.getState().samplesNeeded();
  expect(another.getState().sampleSets).toHaveLength(1);
});
