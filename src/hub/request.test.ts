/** Plan: ids typed and pasted, endpoints, tokens; what each refuses. */
import { expect, test } from 'vitest';
import { parseEndpoint, parseModelId, parseToken } from './request.ts';

test.each([
  ['a/b', 'a/b'],
  ['  stable-diffusion-v1-5/stable-diffusion-v1-5 ', 'stable-diffusion-v1-5/stable-diffusion-v1-5'],
  ['https://huggingface.co/a/b', 'a/b'],
  ['https://huggingface.co/a/b.c_d/tree/main?x=1', 'a/b.c_d'],
  ['http://127.0.0.1:8123/a/b/', 'a/b'],
])('%j is the model %s', (text, id) => {
  expect(parseModelId(text)).toBe(id);
});

test.each([
  'a',
  'a/',
  '/b',
  'a/b/c',
  'a/../b',
  '../b',
  'a b/c',
  'https://huggingface.co/a',
  'https://huggingface.co/datasets/a/b',
])('%j is no model', (text) => {
  expect(() => parseModelId(text)).toThrow(
    expect.objectContaining({
      code: 'invalid-model-id',
      message: `"${text}" is not the id of a model.`,
      remedy: 'Give an id such as stable-diffusion-v1-5/stable-diffusion-v1-5: the owner, a slash, the name.',
    }),
  );
});

test('nothing was named', () => {
  expect(() => parseModelId('  ')).toThrow('No model was named.');
});

test('endpoints lose their trailing slash and must be addresses', () => {
  expect(parseEndpoint(' https://huggingface.co/ ')).toBe('https://huggingface.co');
  expect(parseEndpoint('https://mirror.example/hub/')).toBe('https://mirror.example/hub');
  for (const text of ['huggingface.co', 'ftp://huggingface.co', '']) {
    expect(() => parseEndpoint(text)).toThrow(`"${text}" is not the address of a Hub.`);
  }
});

test('tokens are trimmed, may be left out, and are never repeated in a message', () => {
  expect([parseToken(undefined), parseToken('  '), parseToken(' hf_abc ')]).toEqual([undefined, undefined, 'hf_abc']);
  expect(() => parseToken('my secret')).toThrow(
    expect.objectContaining({
      message: 'The access token is not one of the Hub: those begin with hf_.',
      facts: {},
    }),
  );
});
