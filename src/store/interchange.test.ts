// Plan: over a scripted client: a kohya config fills the form; a recipe brings settings, captions and crops, and the run is of its images in
// its order, also where some are missing; what cannot be read is said in the dialog. The person's own presets are saved,
// renamed, deleted with undo, and read from files that may be wrong.
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { presets } from '../core/presets.ts';
import { invariant } from '../core/invariant.ts';
import type { StudioClient } from '../worker/client.ts';
import type { DatasetImage, Recipe, RecipeOffer, Requests, RequestType } from '../worker/protocol.ts';
import { createStudioStore } from './createStudioStore.ts';
import { imagesToTrain } from './trainRequest.ts';

type Answers = { [T in RequestType]?: (payload: Requests[T][0]) => Requests[T][1] | Promise<Requests[T][1]> };

function setUp(answers: Answers = {}) {
  const calls: { type: string; payload: unknown }[] = [];
  const client: StudioClient = {
    request: async (type, payload) => {
      calls.push({ type, payload });
      const answer = answers[type];
      invariant(answer !== undefined, `no answer for ${type}`);
      return answer(payload);
    },
    on: () => () => undefined,
    onCrash: () => () => undefined,
  };
  return { store: createStudioStore(client), calls };
}

function image(id: string): DatasetImage {
  return {
    id,
    fileName: `${id}.png`,
    width: 64,
    height: 64,
    caption: `old ${id}`,
    repeats: null,
    crop: null,
    heldOut: false,
    hasAlpha: false,
    contentHash: id,
    thumbnail: new Blob(),
    mask: null,
  };
}

const memory = new Map<string, string>();
beforeEach(() => {
  memory.clear();
  vi.stubGlobal('localStorage', {
    getItem: (key: string) => memory.get(key) ?? null,
    setItem: (key: string, value: string) => memory.set(key, value),
    removeItem: (key: string) => memory.delete(key),
  });
});

const recipe: Recipe = {
  software: { name: 'loratory', version: '0.1.0' },
  name: 'my dog',
  triggerWord: 'sks',
  model: { id: 'a/b', revision: '', weights: {} },
  background: '#ffffff',
  options: { ...presets.character, minSnrGamma: 5, samplePrompts: [{ prompt: 'sks', seed: 3, width: 256 }] },
  images: ['c', 'x', 'a'].map((name) => ({
    fileName: `${name}.png`,
    sha256: name,
    caption: `new ${name}`,
    repeats: 2,
    crop: { x: 0.5, y: 0.5, zoom: 2 },
    heldOut: false,
    maskSha256: null,
  })),
};

const offer: RecipeOffer = {
  recipe,
  notes: [],
  images: [
    { id: 'c', lacksMask: false },
    { id: null, lacksMask: false },
    { id: 'a', lacksMask: false },
  ],
  model: 'absent',
};

describe('imports', () => {
  it('fills the form from a kohya config', async () => {
    const options = { ...presets.kohya, rank: 12, resolution: 2000, samplePrompts: [{ prompt: 'hi', seed: 1 }] };
    const { store, calls } = setUp({
      'kohya.read': () => ({ options, name: 'from kohya', triggerWord: 'sks', modelName: null, taken: 3, notes: [] }),
    });
    await store.getState().importFilesChosen([new File(['network_dim = 12'], 'config.toml')]);
    expect(calls).toEqual([
      { type: 'kohya.read', payload: { files: [{ name: 'config.toml', text: 'network_dim = 12' }] } },
    ]);
    expect(store.getState().trainForm.rank).toBe('4');
    await store.getState().importAccepted();
    const { trainForm, editedPrompts, editedRunName, triggerWord, importOpen } = store.getState();
    // A size that the model cannot do gives way to its own.
    expect(trainForm).toMatchObject({ rank: '12', maxTrainSteps: '1600', resolution: '512' });
    expect([editedPrompts, editedRunName, triggerWord, importOpen]).toEqual([
      [{ prompt: 'hi', seed: 1 }],
      'from kohya',
      'sks',
      false,
    ]);
  });

  it('takes over a recipe, with what is here of it', async () => {
    const { store, calls } = setUp({
      'recipe.read': () => offer,
      'dataset.update': () => null,
      'dataset.list': () => ['a', 'b', 'c'].map(image),
    });
    await store.getState().importTextGiven(' https://example.org/#recipe=abc ');
    expect(store.getState().importing).toEqual({ kind: 'recipe', offer });
    await store.getState().importAccepted();
    const state = store.getState();
    expect(state.trainForm).toMatchObject({ rank: '8', maxTrainSteps: '250', minSnrGamma: '5' });
    expect(state.editedPrompts).toEqual(recipe.options.samplePrompts);
    expect(calls.find(({ type }) => type === 'dataset.update')?.payload).toEqual({
      changes: ['c', 'a'].map((id) => ({
        id,
        caption: `new ${id}`,
        repeats: 2,
        crop: { x: 0.5, y: 0.5, zoom: 2 },
        heldOut: false,
      })),
    });
    expect(imagesToTrain(state).map(({ id }) => id)).toEqual(['c', 'a']);
    expect(state.toasts.at(-1)?.detail).toContain('1 image of it is not here');
    state.allImagesChosen();
    expect(imagesToTrain(store.getState()).map(({ id }) => id)).toEqual(['a', 'b', 'c']);
  });

  it('says in the dialog what cannot be read', async () => {
    const { store } = setUp({
      'recipe.read': () => {
        throw new Error('no recipe');
      },
    });
    await store.getState().importTextGiven('{"a":1}');
    const { importOpen, importing, importError } = store.getState();
    expect([importOpen, importing, importError?.message]).toEqual([true, null, 'no recipe']);
  });

  it('has nothing to share while the form is no run', async () => {
    const { store, calls } = setUp();
    await store.getState().recipeCopied('form', 'link');
    expect(calls).toEqual([]);
    expect(store.getState().toasts.at(-1)?.title).toBe('The settings do not make a run yet');
  });
});

describe('presets of one’s own', () => {
  it('are saved, kept over a visit, renamed, deleted and brought back', () => {
    const { store } = setUp();
    store.getState().trainFieldEdited('rank', '7');
    store.getState().presetSaved(' mine ');
    const id = store.getState().presetId;
    store.getState().presetChosen('style');
    expect(store.getState().trainForm.rank).toBe('4');
    const again = setUp().store;
    expect(again.getState().ownPresets.map(({ name }) => name)).toEqual(['mine']);
    again.getState().presetChosen(id);
    expect(again.getState().trainForm.rank).toBe('7');
    again.getState().presetRenamed(id, 'other');
    again.getState().presetDeleted(id);
    expect([again.getState().ownPresets, again.getState().presetId]).toEqual([[], 'style']);
    again.getState().toasts.at(-1)?.action?.run();
    expect(again.getState().ownPresets.map(({ name }) => name)).toEqual(['other']);
    expect(again.getState().presetId).toBe(id);
  });

  it.each([
    ['{', 'it is not valid JSON'],
    ['{"format":"x"}', 'its format is not loratory-preset'],
    ['{"format":"loratory-preset","version":2}', 'its version is 2, and 1 is known'],
    ['{"format":"loratory-preset","version":1,"name":"x"}', 'it has no name or no options'],
  ])('%s is refused', async (text, reason) => {
    const { store } = setUp();
    await store.getState().presetFileChosen(new File([text], 'p.json'));
    expect(store.getState().toasts.at(-1)?.detail).toContain(`p.json is no preset: ${reason}.`);
  });

  it('come from files, under a name of their own', async () => {
    const { store } = setUp();
    const text = JSON.stringify({ format: 'loratory-preset', version: 1, name: 'mine', options: { rank: 9 } });
    for (const name of ['a.json', 'b.json']) await store.getState().presetFileChosen(new File([text], name));
    expect(store.getState().ownPresets.map(({ name }) => name)).toEqual(['mine', 'mine 2']);
    expect(store.getState().trainForm.rank).toBe('9');
  });
});
