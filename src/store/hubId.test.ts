import { describe, expect, it } from 'vitest';
import { explainEndpoint, parseHubId } from './hubId.ts';

describe('parseHubId', () => {
  it.each([
    ['owner/name', 'owner/name'],
    [' stable-diffusion-v1-5/stable-diffusion-v1-5 ', 'stable-diffusion-v1-5/stable-diffusion-v1-5'],
    ['https://huggingface.co/owner/na.me_2', 'owner/na.me_2'],
    ['https://huggingface.co/owner/name/tree/main', 'owner/name'],
    ['gpt2', 'gpt2'],
    ['', null],
    ['two words', null],
    ['../secret', null],
    ['owner/', 'owner'],
  ])('%j -> %j', (text, id) => expect(parseHubId(text)).toBe(id));
});

describe('explainEndpoint', () => {
  it('takes http and https addresses only', () => {
    expect(explainEndpoint('http://127.0.0.1:8080')).toBeNull();
    expect(explainEndpoint('https://huggingface.co')).toBeNull();
    expect(explainEndpoint('huggingface.co')).toMatch(/begins with https/);
    expect(explainEndpoint('file:///x')).toMatch(/begins with https/);
  });
});
