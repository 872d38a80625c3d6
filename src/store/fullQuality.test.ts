// Plan: over a scripted client, "Compare with full quality" draws the same request without its shortcuts, with what it began with, keeps it and
// shows the two; once only; not for a picture that was stopped; what is not kept any more is said to be missing. What the form's shortcuts save.
import { expect, test } from 'vitest';
import { SHALLOW_SHARES } from '../core/shortcuts.ts';
import type { StudioClient } from '../worker/client.ts';
import type { GeneratedPicture, GenerateRequest, NewGalleryPicture } from '../worker/protocol.ts';
import { createStudioStore } from './createStudioStore.ts';
import { fullQualityOf, shortcutFacts, workOfForm } from './fullQuality.ts';
import { initialGenerateForm } from './generateForm.ts';

const request: GenerateRequest = {
  modelId: 'demo',
  prompt: 'a cat',
  negativePrompt: '',
  seed: 7,
  numInferenceSteps: 10,
  guidanceScale: 3,
  guidanceEnd: 0.6,
  reuseInterval: 3,
  width: 64,
  height: 64,
  scheduler: 'ddim',
  loras: [],
};

function setUp(isPartial = false) {
  const asked: GenerateRequest[] = [];
  let kept = 0;
  const picture: Omit<GeneratedPicture, 'jobId'> = {
    index: 0,
    seed: 7,
    png: new Blob(['full']),
    width: 64,
    height: 64,
    parameters: 'a cat',
    isPartial,
  };
  const answers: Record<string, (payload: never) => unknown> = {
    generate: (payload: GenerateRequest) => {
      asked.push(payload);
      return { jobId: payload.jobId ?? '', pictures: [picture], milliseconds: 1 };
    },
    'pictures.add': (added: NewGalleryPicture) => ({ ...added, id: `kept ${++kept}` }),
  };
  const client = {
    request: async (type: string, payload: never) => answers[type]!(payload),
    on: () => () => undefined,
    onCrash: () => () => undefined,
  } as unknown as StudioClient;
  const store = createStudioStore(client);
  const drawn = async (from: GenerateRequest) =>
    store.getState().pictureDrawn({ ...picture, jobId: 'j', isPartial: false }, from, [], 1);
  return { store, asked, drawn };
}

test('a picture is drawn again in full, once, and compared', async () => {
  const { store, asked, drawn } = setUp();
  const fast = await drawn(request);
  expect(fullQualityOf(store.getState(), fast)).toBe('drawable');
  await store.getState().fullQualityWished(fast.id);
  expect(asked).toHaveLength(1);
  const { guidanceEnd: _end, reuseInterval: _interval, ...full } = request;
  expect(asked[0]).toEqual({ ...full, batchSize: 1, batchCount: 1, jobId: asked[0]?.jobId });
  const { shownPictureId, comparedPictureId, pictures } = store.getState();
  expect([shownPictureId, comparedPictureId]).toEqual([fast.id, 'kept 2']);
  expect(fullQualityOf(store.getState(), pictures[1]!)).toBe('none');
  store.getState().comparisonChosen(null);
  await store.getState().fullQualityWished(fast.id);
  expect(asked).toHaveLength(1);
  expect(store.getState().comparedPictureId).toBe('kept 2');
});

test('what it began with is taken again, as long as it is there', async () => {
  const { store, asked, drawn } = setUp();
  const initImage = { image: new Blob(['start']), strength: 0.5 };
  const fast = await drawn({ ...request, initImage });
  await store.getState().fullQualityWished(fast.id);
  expect(asked[0]?.initImage).toBe(initImage);
  // After a reload.
  store.setState({ initImages: new Map() });
  expect(fullQualityOf(store.getState(), fast)).toBe('begun');
  await store.getState().fullQualityWished(fast.id);
  expect(asked).toHaveLength(1);
});

test('a picture that was stopped is not taken for the full one', async () => {
  const { store, drawn } = setUp(true);
  const fast = await drawn(request);
  await store.getState().fullQualityWished(fast.id);
  expect(store.getState().pictures).toHaveLength(1);
  expect(store.getState().comparedPictureId).toBeNull();
});

test('shortcuts as facts', () => {
  expect(shortcutFacts(request)).toEqual(['guided from 0 to 0.6', 'reuse 3']);
  expect(shortcutFacts({ ...request, guidanceEnd: 1, reuseInterval: 1 })).toEqual([]);
});

test("what the form's shortcuts leave of the work", () => {
  const form = { ...initialGenerateForm, steps: '10' };
  expect(workOfForm(form, null)).toBe(1);
  expect(workOfForm({ ...form, reuseInterval: '2' }, null)).toBeCloseTo((1 + SHALLOW_SHARES.sd15) / 2, 12);
  expect(workOfForm({ ...form, reuseInterval: '2' }, 'demo')).toBeCloseTo((1 + SHALLOW_SHARES.demo) / 2, 12);
  expect(workOfForm({ ...form, guidanceEnd: '0.5' }, null)).toBeCloseTo(0.75, 12);
  // Heun: 19 calls, of which ten are guided.
  expect(workOfForm({ ...form, scheduler: 'heun', guidanceEnd: '0.5' }, null)).toBeCloseTo((10 * 2 + 9) / 38, 12);
  expect(workOfForm({ ...form, steps: 'x' }, null)).toBeNull();
});
