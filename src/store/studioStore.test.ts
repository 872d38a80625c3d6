// Plan: over a scripted client, the store's promises to the UI: what is dropped, edits and their undo, undo of removal that keeps the order,
// live losses by step, default prompts and names, obstacles, downloads that end in a selected model, slider redraws.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { RemoteError, toPlainError } from '../core/errors.ts';
import { invariant } from '../core/invariant.ts';
import type { RequestOptions, StudioClient } from '../worker/client.ts';
import type {
  DatasetImage,
  Events,
  EventType,
  ListedModel,
  Requests,
  RequestType,
  ListedRun,
  StripEntry,
} from '../worker/protocol.ts';
import { createStudioStore } from './createStudioStore.ts';
import { initialTrainForm, readTrainForm } from './trainForm.ts';
import { runNameOf, samplePromptsOf, trainObstacles } from './trainRequest.ts';

type Answers = {
  [T in RequestType]?: (payload: Requests[T][0], options?: RequestOptions) => Requests[T][1] | Promise<Requests[T][1]>;
};

function setUp(answers: Answers = {}) {
  const calls: { type: string; payload: unknown }[] = [];
  const handlers = new Map<string, ((payload: never) => void)[]>();
  const client: StudioClient = {
    request: async (type, payload, options) => {
      calls.push({ type, payload });
      const answer = answers[type];
      invariant(answer !== undefined, `no answer for ${type}`);
      return answer(payload, options);
    },
    on: (type, handler) => {
      handlers.set(type, [...(handlers.get(type) ?? []), (payload) => handler(payload, null)]);
      return () => undefined;
    },
    onCrash: () => () => undefined,
  };
  const emit = <T extends EventType>(type: T, payload: Events[T]): void =>
    handlers.get(type)?.forEach((handler) => handler(payload as never));
  return { store: createStudioStore(client), calls, emit };
}

function listed(id: string, imageSize: number): ListedModel {
  const isBuiltIn = id === 'demo';
  return { id, revision: 'c0ffee', bytes: 9, savedAt: 1, imageSize, sizeUnit: isBuiltIn ? 4 : 8, isBuiltIn };
}

function image(id: string, caption = ''): DatasetImage {
  return {
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
  };
}

function run(id: string, name: string): ListedRun {
  const options = readTrainForm(initialTrainForm, []).options;
  invariant(options !== null, 'the initial form is valid');
  return {
    state: 'finished',
    id,
    name,
    modelId: 'a/b',
    triggerWord: '',
    startedAt: 1,
    finishedAt: 2,
    globalStep: 600,
    options,
    imageCount: 1,
    losses: [1],
  };
}

const text = (name: string, content: string): File => new File([content], name, { type: 'text/plain' });

let frames: (() => void)[] = [];
beforeEach(() => {
  frames = [];
  vi.stubGlobal('requestAnimationFrame', (callback: () => void) => frames.push(callback));
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

describe('images', () => {
  it('sends all that is dropped with its folders, and shows what comes of it', async () => {
    const refusal = { fileName: 'c.txt', error: toPlainError(new Error('no image')) };
    const { store, calls } = setUp({
      'dataset.add': () => ({ added: [image('b', 'a bee')], changed: [image('a', 'an ant')], refused: [refusal] }),
    });
    store.setState({ images: [image('a')] });
    const dropped = Object.assign(new File(['x'], 'b.png'), { path: './set/b.png' });
    const chosen = Object.assign(new File(['x'], 'd.png'), { path: 'd.png' });
    await store.getState().imagesDropped([dropped, chosen, text('a.txt', 'an ant')]);
    expect(store.getState().images.map(({ caption }) => caption)).toEqual(['an ant', 'a bee']);
    const [{ payload } = { payload: null }] = calls;
    const { files } = payload as Requests['dataset.add'][0];
    expect(files.map(({ path }) => path)).toEqual(['set/b.png', 'd.png', 'a.txt']);
    expect(store.getState().refused).toEqual([refusal]);
    expect(store.getState().adding).toBeNull();
  });

  it('edits a tag in many captions and undoes it, in the toast or in the toolbar, once', async () => {
    const { store, calls } = setUp({ 'dataset.update': () => null });
    store.setState({ images: [image('a', 'a cat, snow'), image('b', 'a bee'), image('c', 'Snow')] });
    await store.getState().tagsEdited(['a', 'b', 'c'], { kind: 'replace', tag: 'snow', by: 'rain' });
    const captions = () => store.getState().images.map(({ caption }) => caption);
    expect(captions()).toEqual(['a cat, rain', 'a bee', 'rain']);
    expect(calls).toEqual([
      {
        type: 'dataset.update',
        payload: {
          changes: [
            { id: 'a', caption: 'a cat, rain' },
            { id: 'c', caption: 'rain' },
          ],
        },
      },
    ]);
    const toast = store.getState().toasts.at(-1);
    expect(toast?.title).toBe('“snow” replaced by “rain” in 2 captions');
    toast?.action?.run();
    await store.getState().imageUndoPressed();
    await vi.waitFor(() => expect(captions()).toEqual(['a cat, snow', 'a bee', 'Snow']));
    expect(calls).toHaveLength(2);
    expect(store.getState().imageUndos).toEqual([]);
  });

  it('undoes crops and masks one after the other, passing over images that are gone', async () => {
    const { store } = setUp({ 'dataset.update': () => null });
    store.setState({ images: [image('a'), image('b')] });
    const crop = { x: 0.1, y: 0.2, zoom: 2 };
    await store.getState().imagesChanged([{ id: 'a', crop }], 'Crop of a.png changed');
    await store.getState().imagesChanged([{ id: 'b', mask: new Blob(['m']) }], 'Mask of b.png painted');
    expect(store.getState().imageUndos.map(({ title }) => title)).toHaveLength(2);
    await store.getState().imageUndoPressed();
    expect(store.getState().images).toMatchObject([{ crop }, { mask: null }]);
    store.setState({ images: [image('b')] });
    await store.getState().imageUndoPressed();
    expect(store.getState().images).toMatchObject([{ id: 'b', crop: null }]);
  });

  it('removes at once and undoes in the old order', async () => {
    const { store } = setUp({
      'dataset.remove': () => null,
      'dataset.restore': ({ ids }) => ids.map((id) => image(id)),
    });
    store.setState({ images: ['a', 'b', 'c'].map((id) => image(id)), selectedImageIds: new Set(['b']) });
    await store.getState().imagesRemoved(['b']);
    expect(store.getState().images.map(({ id }) => id)).toEqual(['a', 'c']);
    expect(store.getState().selectedImageIds.size).toBe(0);
    const toast = store.getState().toasts.at(-1);
    expect(toast?.title).toBe('1 image removed');
    toast?.action?.run();
    await vi.waitFor(() => expect(store.getState().images.map(({ id }) => id)).toEqual(['a', 'b', 'c']));
  });

  it('takes a caption back that could not be saved', async () => {
    const { store } = setUp({
      'dataset.update': () => {
        throw new RemoteError(toPlainError(new Error('disk full')));
      },
    });
    store.setState({ images: [image('a', 'before')] });
    await store.getState().captionEdited('a', 'after');
    expect(store.getState().images[0]?.caption).toBe('before');
    expect(store.getState().toasts.at(-1)).toMatchObject({ kind: 'error', title: 'The caption could not be saved' });
  });
});

describe('training', () => {
  it('names what is missing, suggests name and prompts, and then starts with them', async () => {
    const { store, calls } = setUp({
      'train.start': () => run('r', 'sks 2'),
      'runs.list': () => [run('r', 'sks 2')],
    });
    expect(trainObstacles(store.getState())).toEqual(['Choose a model first.', 'Add at least one image.']);
    await store.getState().trainPressed();
    expect(calls).toEqual([]);

    store.setState({
      selectedModelId: 'a/b',
      images: [image('i', 'a dog')],
      triggerWord: 'sks',
      runs: [run('old', 'sks')],
    });
    expect(trainObstacles(store.getState())).toEqual([]);
    expect(runNameOf(store.getState())).toBe('sks 2');
    expect(samplePromptsOf(store.getState()).map(({ prompt }) => prompt)).toEqual(['sks, a dog', 'sks']);
    await store.getState().trainPressed();
    expect(calls[0]).toMatchObject({
      type: 'train.start',
      payload: { modelId: 'a/b', name: 'sks 2', triggerWord: 'sks', images: [{ id: 'i', caption: 'a dog' }] },
    });
    expect(store.getState()).toMatchObject({ isTraining: false, liveRunId: 'r', trainError: null });
  });

  it('keeps losses by step and updates once a frame', () => {
    const { store, emit } = setUp();
    const updates = vi.fn<() => void>();
    store.subscribe(updates);
    const step = (globalStep: number, loss: number, strip: StripEntry[] = []): void =>
      emit('train.step', {
        runId: 'r',
        globalStep,
        maxTrainSteps: 9,
        loss,
        learningRate: 1e-4,
        msPerStep: 1,
        etaSeconds: 1,
        gpuBytes: 1,
        gpuPeakBytes: 1,
        examples: [],
        strip,
      });
    step(1, 0.1);
    step(2, 0.2);
    step(2, 0.3);
    expect(updates).not.toHaveBeenCalled();
    frames.forEach((frame) => frame());
    expect(updates).toHaveBeenCalledTimes(1);
    expect(store.getState().liveLosses.values).toEqual([0.1, 0.3]);
    expect(store.getState().latestStep?.globalStep).toBe(2);

    // Steps without pictures leave the newest ones standing.
    expect(store.getState().latestStrip).toBeNull();
    const pixel = { width: 1, height: 1, data: new Uint8Array(3) };
    const entry = { imageId: 'i', timestep: 1, flipped: false, clean: pixel, noisy: pixel, predicted: pixel };
    step(3, 0.1, [entry]);
    step(4, 0.1);
    frames.at(-1)?.();
    expect(store.getState().latestStep?.globalStep).toBe(4);
    expect(store.getState().latestStrip).toMatchObject({ globalStep: 3, strip: [entry] });
  });

  it('orders sample rows by step and keeps an error for the panel', async () => {
    const { store, emit } = setUp({
      'train.start': () => {
        throw new RemoteError(toPlainError(new Error('no memory')));
      },
      'runs.list': () => [],
    });
    for (const globalStep of [200, 100, 200]) emit('train.sample', { runId: 'r', globalStep, images: [] });
    expect(store.getState().samplesByRun['r']?.map((row) => row.globalStep)).toEqual([100, 200]);
    store.setState({ selectedModelId: 'a/b', images: [image('i')] });
    await store.getState().trainPressed();
    expect(store.getState()).toMatchObject({ isTraining: false, trainError: { message: 'no memory' } });
  });
});

describe('models', () => {
  it('begins with the built-in one; forms follow the choice, which stays while the model is there', async () => {
    let models = [listed('demo', 64), listed('a/b', 512)];
    const { store } = setUp({
      'models.list': () => models,
      'storage.info': () => ({ usageBytes: 1, quotaBytes: 2, persisted: true }),
    });
    const inUse = () => {
      const { selectedModelId, trainForm, generateForm } = store.getState();
      return [selectedModelId, trainForm.resolution, trainForm.rank, generateForm.width];
    };
    await store.getState().modelsRefreshed();
    expect(inUse()).toEqual(['demo', '64', '8', '64']);
    store.getState().modelSelected('a/b');
    expect(inUse()).toEqual(['a/b', '512', '4', '512']);
    await store.getState().modelsRefreshed();
    expect(inUse()).toEqual(['a/b', '512', '4', '512']);
    models = [listed('demo', 64)];
    await store.getState().modelsRefreshed();
    expect(inUse()).toEqual(['demo', '64', '8', '64']);
    models = [];
    await store.getState().modelsRefreshed();
    expect(store.getState().selectedModelId).toBeNull();
  });

  it('selects a model once it is there, and offers to resume one that is not', async () => {
    let fail = true;
    const model = listed('a/b', 512);
    const { store, calls, emit } = setUp({
      'models.download': () => {
        emit('download.progress', { modelId: 'a/b', file: 'x', loadedBytes: 5, totalBytes: 9, bytesPerSecond: 1 });
        frames.forEach((frame) => frame());
        if (fail) throw new RemoteError(toPlainError(new Error('offline')));
        return model;
      },
      'models.list': () => [model],
      'storage.info': () => ({ usageBytes: 1, quotaBytes: 2, persisted: true }),
    });
    await store.getState().modelDownloadRequested('a/b');
    expect(store.getState()).toMatchObject({
      download: null,
      interruptedModelId: 'a/b',
      modelError: { message: 'offline' },
    });
    fail = false;
    store.getState().accessTokenEdited('hf_secret');
    await store.getState().modelDownloadRequested('a/b');
    expect(store.getState()).toMatchObject({ selectedModelId: 'a/b', interruptedModelId: null, modelError: null });
    const requests = calls.filter(({ type }) => type === 'models.download').map(({ payload }) => payload);
    expect(requests).toEqual([
      { id: 'a/b', endpoint: 'https://huggingface.co' },
      { id: 'a/b', endpoint: 'https://huggingface.co', token: 'hf_secret' },
    ]);
  });
});

describe('trying', () => {
  const drawn = {
    jobId: 'j',
    index: 0,
    seed: 42,
    png: new Blob(),
    width: 64,
    height: 64,
    parameters: '',
    isPartial: false,
  };
  const answers: Answers = {
    generate: (_request, options) => {
      options?.on?.['generate.picture']?.(drawn);
      return { jobId: 'j', pictures: [drawn], milliseconds: 5 };
    },
    'pictures.add': (picture) => ({ ...picture, id: `p${Math.random()}` }),
  };

  it('redraws when the slider comes to rest, same seed, newest weight only', async () => {
    vi.useFakeTimers();
    const { store, calls } = setUp(answers);
    store.setState({ selectedModelId: 'a/b', runs: [run('r', 'mine')] });
    store.getState().generateLoraChosen('r');
    const [lora] = store.getState().shelf;
    invariant(lora !== undefined, 'the run is on the shelf');
    store.getState().loraWeightMoved(lora.key, 0.5);
    await vi.advanceTimersByTimeAsync(1000);
    expect(calls).toEqual([]);
    store.getState().generatePressed();
    await vi.advanceTimersByTimeAsync(1);
    for (const weight of [0.6, 0.7, 0.8]) store.getState().loraWeightMoved(lora.key, weight);
    await vi.advanceTimersByTimeAsync(1000);
    const requests = calls.filter(({ type }) => type === 'generate');
    expect(requests.map(({ payload }) => payload)).toMatchObject([
      { seed: 42, loras: [{ source: { kind: 'run', runId: 'r' }, weight: 0.5, enabled: true }] },
      { seed: 42, loras: [{ source: { kind: 'run', runId: 'r' }, weight: 0.8, enabled: true }] },
    ]);
    const { pictures, shownPictureId, jobs } = store.getState();
    expect(pictures.map(({ loraNames }) => loraNames)).toEqual([['mine'], ['mine']]);
    expect(shownPictureId).toBe(pictures[1]?.id);
    expect(jobs).toEqual([]);
  });

  it('shows the last preview of a batch until the next one comes', async () => {
    const pixel = { width: 1, height: 1, data: new Uint8Array(3) };
    const seen: number[] = [];
    const { store } = setUp({
      ...answers,
      generate: (_request, options) => {
        const progress = {
          jobId: 'j',
          numInferenceSteps: 9,
          etaSeconds: 1,
          fraction: 0,
          batchCount: 2,
          stage: 'first',
        } as const;
        for (const [step, batch, previews] of [
          [1, 0, [pixel]],
          [2, 0, []],
          [1, 1, []],
        ] as const) {
          options?.on?.['generate.progress']?.({ ...progress, step, batch, previews });
          seen.push(store.getState().jobs[0]?.progress?.previews.length ?? -1);
        }
        return { jobId: 'j', pictures: [drawn], milliseconds: 5 };
      },
    });
    store.setState({ selectedModelId: 'a/b' });
    store.getState().generatePressed();
    await vi.waitFor(() => expect(store.getState().jobs).toEqual([]));
    expect(seen).toEqual([1, 1, 0]);
  });

  it('keeps a picture in view whose storage failed, and says so', async () => {
    const { store } = setUp({
      ...answers,
      'pictures.add': () => {
        throw new RemoteError(toPlainError(new Error('disk full')));
      },
    });
    store.setState({ selectedModelId: 'a/b' });
    store.getState().generatePressed();
    await vi.waitFor(() => expect(store.getState().pictures).toHaveLength(1));
    expect(store.getState().toasts.at(-1)).toMatchObject({
      kind: 'error',
      title: 'The picture is shown but could not be kept: save it',
    });
  });

  it('takes a LoRA off the shelf and puts it back', () => {
    const { store } = setUp();
    store.setState({ runs: [run('r', 'mine'), run('s', 'other')] });
    store.getState().generateLoraChosen('r');
    store.getState().loraPlugged({ kind: 'run', runId: 's' }, 0.4, 0.2);
    store.getState().generateLoraChosen('r');
    expect(store.getState().shelf.map(({ enabled }) => enabled)).toEqual([true, false]);
    store.getState().loraUnplugged(store.getState().shelf[1]?.key ?? '');
    expect(store.getState().shelf).toHaveLength(1);
    store.getState().toasts.at(-1)?.action?.run();
    expect(store.getState().shelf[1]).toMatchObject({ weight: 0.4, textEncoderWeight: 0.2 });
  });

  it('says what is wrong with a picture without settings and a repository without LoRAs', async () => {
    const { store } = setUp({ 'pictures.settings': () => null, 'loras.hubFiles': () => [] });
    await store.getState().settingsDropped(new File([], 'photo.png'));
    expect(store.getState().toasts.at(-1)?.detail).toMatch(
      /^photo\.png holds no settings\. Take the file as the program/,
    );
    await store.getState().hubSearched('some/one');
    expect(store.getState().hubSearch).toMatchObject({
      open: { id: 'some/one', files: [] },
      error: { message: 'some/one holds no .safetensors file that may be a LoRA.' },
    });
  });

  it('asks the Hub with its words, and with the token only if there is one', async () => {
    const hit = { id: 'a/b', downloads: 1, likes: 1, updatedAt: 1, isGated: false, baseModels: [] };
    const { store, calls } = setUp({ 'loras.search': () => [hit] });
    await store.getState().hubSearched('pixel art');
    store.getState().accessTokenEdited('hf_secret');
    await store.getState().hubSearched('pixel art');
    expect(calls.map(({ payload }) => payload)).toEqual([
      { query: 'pixel art', endpoint: 'https://huggingface.co', limit: 20 },
      { query: 'pixel art', endpoint: 'https://huggingface.co', token: 'hf_secret', limit: 20 },
    ]);
    expect(store.getState().hubSearch.hits).toEqual([hit]);
  });

  it('fetches the decoder of previews when asked, and says why it could not', async () => {
    let fails = true;
    const { store, calls } = setUp({
      'preview.isStored': () => false,
      'preview.fetch': () => {
        if (fails) throw new RemoteError(toPlainError(new Error('no network')));
        return null;
      },
    });
    await store.getState().previewDecoderNeeded();
    expect(store.getState().previewDecoder).toBe('missing');
    await store.getState().previewDecoderRequested();
    expect(store.getState()).toMatchObject({
      previewDecoder: 'missing',
      previewDecoderError: { message: 'no network' },
    });
    fails = false;
    await store.getState().previewDecoderRequested();
    expect(store.getState()).toMatchObject({ previewDecoder: 'stored', previewDecoderError: null });
    expect(calls.at(-1)?.payload).toEqual({ id: 'madebyollin/taesd', endpoint: 'https://huggingface.co' });
  });

  it('draws a plot cell by cell, around a cell that fails, and keeps it as one picture', async () => {
    const { store, calls } = setUp({
      ...answers,
      generate: ({ seed }) => {
        if (seed === 2) throw new RemoteError(toPlainError(new Error('no')));
        return { jobId: 'j', pictures: [{ ...drawn, seed }], milliseconds: 1 };
      },
      'plot.compose': ({ parameters = '' }) => ({ png: new Blob([parameters]), width: 800, height: 600 }),
    });
    store.setState({ selectedModelId: 'a/b' });
    store.getState().plotAxisEdited('x', { kind: 'seed', values: '1-3' });
    store.getState().plotAxisEdited('y', { kind: 'steps', values: '4, 8' });
    await store.getState().plotPressed();
    const { plot, pictures } = store.getState();
    expect(plot).toMatchObject({ columns: 3, rows: 2, planes: 1, done: 6 });
    expect(plot?.cells.map(({ png, error }) => (png === null ? error?.message : 'drawn'))).toEqual([
      'drawn',
      'no',
      'drawn',
      'drawn',
      'no',
      'drawn',
    ]);
    expect(calls.filter(({ type }) => type === 'generate')).toHaveLength(6);
    expect(pictures).toMatchObject([
      { width: 800, plot: ['Seed', 'Steps'], request: { seed: 1, numInferenceSteps: 4 } },
    ]);
    expect(await plot?.image?.text()).toContain('X Type: Seed');
    store.getState().plotAxisEdited('x', { kind: 'none' });
    store.getState().plotAxisEdited('y', { kind: 'none' });
    await store.getState().plotPressed();
    expect(store.getState().toasts.at(-1)?.detail).toBe('No axis changes anything. Choose a setting for X.');
  });

  it('deletes pictures at once, shows a neighbour, and undoes', async () => {
    const { store } = setUp({
      ...answers,
      'pictures.remove': () => null,
      'pictures.restore': ({ ids }) => pictures.filter(({ id }) => ids.includes(id)),
    });
    store.setState({ selectedModelId: 'a/b' });
    for (const count of [1, 2]) {
      store.getState().generatePressed();
      await vi.waitFor(() => expect(store.getState().pictures).toHaveLength(count));
    }
    const { pictures } = store.getState();
    const [first, second] = pictures.map(({ id }) => id);
    await store.getState().picturesRemoved([second ?? '']);
    expect(store.getState().pictures.map(({ id }) => id)).toEqual([first]);
    expect(store.getState().shownPictureId).toBe(first);
    store.getState().toasts.at(-1)?.action?.run();
    await vi.waitFor(() => expect(store.getState().pictures).toEqual(pictures));
    expect(store.getState().shownPictureId).toBe(second);
  });
});
