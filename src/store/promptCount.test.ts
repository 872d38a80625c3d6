// Plan: a prompt is counted with the chosen model and the form's steps; without a model, or where it fails, there is no count.
import { expect, it, vi } from 'vitest';
import type { StudioClient } from '../worker/client.ts';
import { createStudioStore } from './createStudioStore.ts';

const count = { tokens: 1, chunks: [{ tokens: 1, capacity: 75, spans: [{ text: 'cat', weight: 1 }] }] };

function setUp(answer: () => Promise<unknown>) {
  const request = vi.fn<(type: string, payload: unknown) => Promise<unknown>>(answer);
  const client = { request, on: () => () => undefined, onCrash: () => () => undefined };
  return { request, store: createStudioStore(client as unknown as StudioClient) };
}

it('counts with the chosen model and the steps of the form', async () => {
  const { store, request } = setUp(async () => count);
  const { promptTyped } = store.getState();
  expect(await promptTyped({ prompt: 'cat', modelId: 'a/b', steps: '40' })).toEqual(count);
  expect(request).toHaveBeenCalledWith('prompt.count', { modelId: 'a/b', prompt: 'cat', numInferenceSteps: 40 });
  await promptTyped({ prompt: 'cat', modelId: 'a/b', steps: 'many' });
  expect(request).toHaveBeenLastCalledWith('prompt.count', { modelId: 'a/b', prompt: 'cat', numInferenceSteps: 25 });
});

it('has no count without a model, or where it fails', async () => {
  const { store, request } = setUp(() => Promise.reject(new Error('no')));
  const { promptTyped } = store.getState();
  expect(await promptTyped({ prompt: 'cat', modelId: null, steps: '20' })).toBeNull();
  expect(request).not.toHaveBeenCalled();
  expect(await promptTyped({ prompt: 'cat', modelId: 'a/b', steps: '20' })).toBeNull();
});
