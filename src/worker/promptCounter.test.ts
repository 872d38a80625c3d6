// Plan: a stored model's prompt is counted, its vocabulary read once a revision; one that is not stored is not; a broken one is named.
import { describe, expect, it, vi } from 'vitest';
import { fixtureBytes } from '../../tools/testing.ts';
import { bytesSource, type FileTree } from '../core/files.ts';
import { PromptCounter } from './promptCounter.ts';

const paths = ['vocab.json', 'merges.txt', 'tokenizer_config.json'].map((name) => `tokenizer/${name}`);
const tree = (files: readonly string[]): FileTree => ({
  name: 'a/b',
  list: () => files,
  has: (path) => files.includes(path),
  open: async (path) => bytesSource(path, fixtureBytes(`sd15-tiny/model/${path}`)),
});

function setUp(files = paths) {
  const stored = new Map([['a/b', { revision: '1' }]]);
  const openTree = vi.fn<(id: string) => Promise<FileTree>>(async () => tree(files));
  return { stored, openTree, counter: new PromptCounter({ find: async (id) => stored.get(id), openTree }) };
}

const request = { modelId: 'a/b', prompt: 'a (cat:1.5) BREAK dog', numInferenceSteps: 20 };

describe('counting prompts', () => {
  it("reads a model's vocabulary once for each of its revisions", async () => {
    const { counter, openTree, stored } = setUp();
    const counts = await Promise.all([counter.count(request), counter.count(request)]);
    expect(counts[0]?.chunks.map(({ spans }) => spans)).toEqual([
      [
        { text: 'a', weight: 1 },
        { text: 'cat', weight: 1.5 },
      ],
      [{ text: 'dog', weight: 1 }],
    ]);
    expect(counts[1]).toEqual(counts[0]);
    expect(openTree).toHaveBeenCalledTimes(1);
    stored.set('a/b', { revision: '2' });
    await counter.count(request);
    expect(openTree).toHaveBeenCalledTimes(2);
  });

  it('fetches no model', async () => {
    const { counter, openTree } = setUp();
    expect(await counter.count({ ...request, modelId: 'other' })).toBeNull();
    expect(openTree).not.toHaveBeenCalled();
  });

  it('says what is wrong with a model, and tries again', async () => {
    const { counter, openTree } = setUp([]);
    await expect(counter.count(request)).rejects.toMatchObject({ code: 'model-config' });
    openTree.mockResolvedValue(tree(paths));
    expect((await counter.count(request))?.chunks).toHaveLength(2);
  });
});
