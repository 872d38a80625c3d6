/**
 * Plan, on the tiny model: a prompt without syntax has the same embedding to the bit however it is read; weights, chunks, padding, clip
 * skip, embedding files and LoRA tags act on what they should and on nothing else; prompts that change give each call its text;
 * pictures follow; the text encoder is loaded once, and freed.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fixtureSafetensors } from '../../tools/testing.ts';
import { folderTree } from './nodeFiles.ts';
import { openDevice } from '../gpu/device.ts';
import { tensorCount } from '../gpu/ops.ts';
import { startRuntime, stopRuntime } from '../gpu/runtime.ts';
import { encodePrompts, type PromptEmbedding } from '../latents/embeddings.ts';
import { openDiffusionModel, type DiffusionModel } from '../models/repository.ts';
import { applyWeights } from '../prompts/emphasis.ts';
import { PromptConditioner, type ConditioningRequest } from '../session/conditioning.ts';
import { ImageGenerator } from '../session/generation.ts';
import { GenerateOptionError, type GenerationRequest } from '../session/generationRequest.ts';

let model: DiffusionModel;
let prompts: PromptConditioner;
let loads = 0;

beforeAll(async () => {
  await startRuntime(await openDevice(navigator.gpu));
  const opened = await openDiffusionModel(await folderTree('fixtures/sd15-tiny/model'));
  model = {
    ...opened,
    loadTextEncoder: (onProgress) => {
      loads++;
      return opened.loadTextEncoder(onProgress);
    },
  };
  prompts = new PromptConditioner(model);
});

afterAll(() => {
  stopRuntime();
});

/** Both sides' embeddings at a call of ten. */
async function embed(
  request: Partial<ConditioningRequest>,
  call = 0,
): Promise<{ readonly prompt: PromptEmbedding; readonly negative: PromptEmbedding }> {
  const { promptEmbeds, negativePromptEmbeds } = await prompts.conditioning(
    { prompt: '', negativePrompt: '', loras: [], ...request },
    { calls: 10 },
  );
  return { prompt: promptEmbeds(call), negative: negativePromptEmbeds(call) };
}

const valuesOf = async (prompt: string): Promise<Float32Array> => (await embed({ prompt })).prompt.values;
const long = Array.from({ length: 90 }, () => 'a').join(' ');

describe('conditioning', () => {
  test.each(['', 'a photo of a cat, on a mat', 'café: 100% <b>'])(
    'a prompt without syntax is the same to the bit, however it is read: %j',
    async (prompt) => {
      const encoder = await model.loadTextEncoder();
      const plain = await encodePrompts(encoder, model.tokenizer, [prompt]);
      const among = await encodePrompts(encoder, model.tokenizer, ['x', prompt, long], { syntax: 'a1111' });
      encoder.dispose();
      const numbers = plain.get(prompt)?.values;
      expect(among.get(prompt)?.values).toEqual(numbers);
      expect((await embed({ prompt })).prompt.values).toEqual(numbers);
      expect((await embed({ prompt, syntax: 'plain' })).prompt.values).toEqual(numbers);
    },
  );

  test('plain syntax takes brackets for text', async () => {
    const weighted = await embed({ prompt: '(cat:1.5)' });
    const plain = await embed({ prompt: '(cat:1.5)', syntax: 'plain' });
    expect(plain.prompt.values).not.toEqual(weighted.prompt.values);
    expect(plain.prompt.tokens).toBe(77);
  });

  test('weights multiply the embedding and keep its mean', async () => {
    const plain = await valuesOf('a red cat');
    const weights = new Float32Array(77).fill(1);
    const red = model.tokenizer.tokenize('a').length + 1;
    weights.fill(1.5, red, red + model.tokenizer.tokenize('red').length);
    expect(await valuesOf('a (red:1.5) cat')).toEqual(applyWeights(plain, weights));
  });

  test('a long prompt has chunks; the other side is padded with the empty prompt', async () => {
    const { prompt, negative } = await embed({ prompt: long, negativePrompt: 'bad' });
    expect([prompt.tokens, negative.tokens]).toEqual([154, 154]);
    const size = 77 * prompt.width;
    expect(negative.values.subarray(0, size)).toEqual(await valuesOf('bad'));
    expect(negative.values.subarray(size)).toEqual(await valuesOf(''));
    expect(prompt.values.subarray(size)).toEqual(await valuesOf(Array.from({ length: 15 }, () => 'a').join(' ')));
    const broken = (await embed({ prompt: 'a cat BREAK a dog' })).prompt;
    expect(broken.values.subarray(0, size)).toEqual(await valuesOf('a cat'));
    expect(broken.values.subarray(size)).toEqual(await valuesOf('a dog'));
  });

  test('clip skip changes both sides; plain syntax leaves the negative one, as diffusers does', async () => {
    const [one, two, plain] = [
      await embed({ prompt: 'cat', negativePrompt: 'bad' }),
      await embed({ prompt: 'cat', negativePrompt: 'bad', clipSkip: 2 }),
      await embed({ prompt: 'cat', negativePrompt: 'bad', clipSkip: 2, syntax: 'plain' }),
    ];
    expect(two.prompt.values).not.toEqual(one.prompt.values);
    expect(two.negative.values).not.toEqual(one.negative.values);
    expect(plain.prompt.values).toEqual(two.prompt.values);
    expect(plain.negative.values).toEqual(one.negative.values);
  });

  test("an embedding's rows stand for its name", async () => {
    const weights = await fixtureSafetensors('sd15-tiny/model/text_encoder/model.fp16.safetensors');
    const table = await weights.readFloat32('text_model.embeddings.token_embedding.weight');
    const width = model.textConfig.hiddenSize;
    const vectors = model.tokenizer.tokenize('red cat').map((id) => table.slice(id * width, (id + 1) * width));
    const embeddings = [{ name: 'myword', vectors }];
    const { prompt, negative } = await embed({ prompt: 'a myword', negativePrompt: 'myword', embeddings });
    expect(prompt.values).toEqual(await valuesOf('a red cat'));
    expect(negative.values).toEqual(await valuesOf('red cat'));
    expect((await embed({ prompt: 'a myword' })).prompt.values).not.toEqual(prompt.values);
  });

  test('LoRA tags are no text in the prompt, and text in the negative one', async () => {
    const { prompt, negative } = await embed({ prompt: 'cat<lora:x:1>', negativePrompt: 'cat<lora:x:1>' });
    expect(prompt.values).toEqual(await valuesOf('cat'));
    expect(negative.values).not.toEqual(await valuesOf('cat'));
  });

  test('a prompt that changes has its text at each call', async () => {
    const [cat, dog] = [await valuesOf('a cat'), await valuesOf('a dog')];
    const isCat = async (prompt: string): Promise<boolean[]> => {
      const { promptEmbeds } = await prompts.conditioning({ prompt, negativePrompt: '', loras: [] }, { calls: 10 });
      const values = Array.from({ length: 10 }, (_, call) => promptEmbeds(call).values);
      for (const one of values) expect([cat, dog]).toContainEqual(one);
      return values.map((one) => one.every((value, i) => value === cat[i]));
    };
    const t = true;
    const f = false;
    expect(await isCat('a [cat:dog:0.5]')).toEqual([t, t, t, t, t, t, f, f, f, f]);
    expect(await isCat('a [cat|dog]')).toEqual([t, t, f, t, f, t, f, t, f, t]);
    expect(await isCat('a [cat:dog:0]')).toEqual(Array.from({ length: 10 }, () => f));
  });

  test('all texts of a changing prompt have as many chunks as the longest', async () => {
    const { promptEmbeds, negativePromptEmbeds } = await prompts.conditioning(
      { prompt: `[cat:${long}:0.5]`, negativePrompt: '', loras: [] },
      { calls: 4 },
    );
    expect([promptEmbeds(0), promptEmbeds(3), negativePromptEmbeds(0)].map(({ tokens }) => tokens)).toEqual([
      154, 154, 154,
    ]);
  });
});

const request: GenerationRequest = {
  prompt: 'a cat',
  negativePrompt: '',
  seed: 7,
  numInferenceSteps: 3,
  guidanceScale: 3,
  width: 64,
  height: 64,
  scheduler: 'ddim',
  loras: [],
};

describe('pictures', () => {
  test('follow their prompt call by call, with one loading of the text encoder', async () => {
    const generator = new ImageGenerator(model);
    const draw = async (changes: Partial<GenerationRequest>): Promise<Uint8Array> =>
      (await generator.generate({ ...request, ...changes })).data;
    loads = 0;
    const [cat, dog] = [await draw({}), await draw({ prompt: 'a dog' })];
    expect(await draw({ prompt: 'a [cat:dog:99]' })).toEqual(cat);
    expect(await draw({ prompt: 'a [cat:dog:0]' })).toEqual(dog);
    const changing = await draw({ prompt: 'a [cat:dog:1]' });
    expect(changing).not.toEqual(cat);
    expect(changing).not.toEqual(dog);
    expect(await draw({ prompt: long, negativePrompt: 'b' })).not.toEqual(cat);
    expect(await draw({ clipSkip: 2 })).not.toEqual(cat);
    // Two calls a step: the change after the third call lies within the second step.
    const heun = await draw({ scheduler: 'heun', prompt: 'a [cat:dog:3]' });
    expect(heun).not.toEqual(await draw({ scheduler: 'heun' }));
    expect(heun).not.toEqual(await draw({ scheduler: 'heun', prompt: 'a dog' }));
    expect(await draw({})).toEqual(cat);
    expect(loads).toBe(1);
    generator.dispose();
  });

  test('leave nothing behind', async () => {
    const tensors = tensorCount();
    const generator = new ImageGenerator(model);
    await generator.generate({ ...request, prompt: '[a|b] BREAK c', numInferenceSteps: 2 });
    generator.dispose();
    expect(tensorCount()).toBe(tensors);
  });

  test.each([0, 1.5, 99])('refuse clip skip %d', async (clipSkip) => {
    const refused = new ImageGenerator(model).generate({ ...request, clipSkip });
    await expect(refused).rejects.toThrow(GenerateOptionError);
  });
});
