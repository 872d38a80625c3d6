// Plan: the shelf comes back as it was left; what is stored there in another form is passed over, entry by entry.
import { afterEach, expect, test, vi } from 'vitest';
import type { StudioClient } from '../worker/client.ts';
import { createStudioStore } from './createStudioStore.ts';

const client: StudioClient = {
  request: async () => Promise.reject(new Error('nobody answers')),
  on: () => () => undefined,
  onCrash: () => () => undefined,
};

function shelfOf(stored: string): unknown {
  vi.stubGlobal('localStorage', {
    getItem: (key: string) => (key === 'loratory.shelf' ? stored : null),
    setItem: () => undefined,
    removeItem: () => undefined,
  });
  return createStudioStore(client).getState().shelf;
}

afterEach(() => vi.unstubAllGlobals());

const run = {
  key: 'a',
  source: { kind: 'run', runId: 'r', globalStep: 50 },
  enabled: true,
  weight: 0.8,
  textEncoderWeight: null,
};
const file = {
  key: 'b',
  source: { kind: 'file', loraId: 'f' },
  enabled: false,
  weight: -1,
  textEncoderWeight: 0.5,
};

test('what was left there comes back', () => {
  expect(shelfOf(JSON.stringify([run, file]))).toEqual([run, file]);
});

test.each([
  ['nothing', null],
  ['a text', 'lora'],
  ['no key', { ...run, key: undefined }],
  ['no source', { ...run, source: null }],
  ['an unknown kind of source', { ...run, source: { kind: 'hub', id: 'x' } }],
  ['a run without its name', { ...run, source: { kind: 'run' } }],
  ['a step that is no number', { ...run, source: { kind: 'run', runId: 'r', globalStep: 'last' } }],
  ['a file without its name', { ...file, source: { kind: 'file', loraId: 7 } }],
  ['a switch that is none', { ...run, enabled: 'yes' }],
  ['a weight that is no number', { ...run, weight: null }],
  ['another that is none', { ...file, textEncoderWeight: '0.5' }],
])('%s is passed over', (_name, entry) => {
  expect(shelfOf(JSON.stringify([entry, file]))).toEqual([file]);
});

test.each(['', '{', '{"0":1}', '7'])('%j is no shelf', (stored) => {
  expect(shelfOf(stored)).toEqual([]);
});
