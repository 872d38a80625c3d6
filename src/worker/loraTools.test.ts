// Plan: over the oracle's files: the report; every form written (PEFT's as a zip) with its verdicts and edited header; a lower rank with
// progress, and cancelled half-way; two in one. Baking is tested in export/ and end to end.
import { readFileSync } from 'node:fs';
import { unzipSync } from 'fflate';
import { describe, expect, test } from 'vitest';
import { bytesSource } from '../core/files.ts';
import { BuiltInModel } from '../hub/builtInModel.ts';
import { openSafetensors } from '../formats/safetensors.ts';
import { ModelStore } from '../storage/modelStore.ts';
import { loraToolHandlers } from './loraTools.ts';
import { Models } from './models.ts';
import type { Events, HeaderEdits, LoraInput, LoraWriteOptions } from './protocol.ts';
import type { RequestContext } from './server.ts';

const path = 'fixtures/sd15-tiny/lora/kohya/unet_te.safetensors';
const bytes = new Uint8Array(readFileSync(path));
const store = new ModelStore();
const handlers = loraToolHandlers(
  {
    bytes: async () => bytes,
    identify: async () => ({ key: 'k', name: 'Round', fileName: 'Round.safetensors' }),
  },
  new Models(store, new BuiltInModel(new URL('http://localhost/models/demo/'), store)),
);

function contextOf(onProgress: (progress: Events['lora.progress']) => void = () => undefined): {
  context: RequestContext;
  controller: AbortController;
} {
  const controller = new AbortController();
  return {
    controller,
    context: {
      signal: controller.signal,
      emit: (type, payload) => {
        if (type === 'lora.progress') onProgress(payload as Events['lora.progress']);
      },
    },
  };
}

const kept: LoraInput = { kind: 'file', loraId: 'x' };
const plain: LoraWriteOptions = { form: 'kohya', dtype: 'F32' };
const open = async (blob: Blob) => openSafetensors(bytesSource('written', new Uint8Array(await blob.arrayBuffer())));

describe('a file', () => {
  test('is reported on, kept or dropped in', async () => {
    const { context } = contextOf();
    const report = await handlers['lora.report']({ input: kept }, context);
    expect(report).toMatchObject({ fileName: 'Round.safetensors', bytes: bytes.length });
    expect(report.description).toMatchObject({ form: 'kohya', unetModules: 128, textEncoderModules: 12 });
    expect(report.description.blocks.map(({ block }) => block)).toContain('text encoder');
    expect(report.tensors).toHaveLength(3 * 140);
    expect(report.tools.map(({ tool }) => tool)).toEqual(['A1111', 'Forge', 'ComfyUI', 'InvokeAI', 'diffusers']);
    const dropped: LoraInput = { kind: 'dropped', file: new File([bytes], 'other.safetensors') };
    expect((await handlers['lora.report']({ input: dropped }, context)).description.hash).toBe(report.description.hash);
  });

  test('is written in every form, with its header as edited', async () => {
    const { context } = contextOf();
    const header: HeaderEdits = {
      title: 'A: new name',
      triggerPhrase: 'sks',
      description: '',
      author: 'Ada',
      license: '',
      tags: 'a, b',
      thumbnail: null,
      tagFrequency: false,
    };
    const kohya = await handlers['lora.write']({ input: kept, options: { ...plain, dtype: 'F16', header } }, context);
    expect(kohya.fileName).toBe('A_ new name.safetensors');
    const file = await open(kohya.blob);
    expect(file.metadata).toMatchObject({ 'modelspec.title': 'A: new name', 'modelspec.author': 'Ada' });
    expect(file.metadata).not.toHaveProperty('ss_tag_frequency');
    expect(file.metadata).not.toHaveProperty('modelspec.description');
    expect(file.info(file.names()[0]!).dtype).toBe('F16');

    const diffusers = await handlers['lora.write']({ input: kept, options: { ...plain, form: 'diffusers' } }, context);
    expect(diffusers.tools.find(({ tool }) => tool === 'A1111')?.takes).toBe('no');
    const peft = await handlers['lora.write']({ input: kept, options: { ...plain, form: 'peft' } }, context);
    expect(peft.fileName).toBe('Round.zip');
    const paths = Object.keys(unzipSync(new Uint8Array(await peft.blob.arrayBuffer())));
    expect(paths.sort()).toEqual(
      ['text_encoder', 'unet'].flatMap((part) =>
        ['adapter_config.json', 'adapter_model.safetensors'].map((name) => `Round/${part}/${name}`),
      ),
    );
  });
});

describe('resizing and merging', () => {
  test('a lower rank, its error, and how far it is', async () => {
    const fractions: number[] = [];
    const { context } = contextOf(({ fraction }) => fractions.push(fraction));
    const small = await handlers['lora.resize']({ input: kept, rank: 1, options: plain }, context);
    expect(small.fileName).toBe('Round-rank1.safetensors');
    expect(small.error).toBeGreaterThan(0.01);
    expect(small.layers).toHaveLength(140);
    // Every layer is combined, and then written.
    expect(fractions.length).toBeGreaterThan(280);
    expect(fractions).toEqual(fractions.toSorted((a, b) => a - b));
    expect(fractions.at(-1)).toBeGreaterThan(0.9);
    expect(fractions.at(-1)).toBeLessThan(1);
    const file = await open(small.blob);
    expect(file.metadata['ss_network_dim']).toBe('1');
  });

  test('cancelled, it stops', async () => {
    const { context, controller } = contextOf(({ fraction }) => {
      if (fraction > 0.1) controller.abort();
    });
    await expect(handlers['lora.resize']({ input: kept, rank: 1, options: plain }, context)).rejects.toMatchObject({
      name: 'AbortError',
    });
  });

  test('cancelled while it is written, likewise; the shares only grow', async () => {
    const shares: number[] = [];
    const { context, controller } = contextOf(({ fraction }) => {
      shares.push(fraction);
      if (fraction > 0.6) controller.abort();
    });
    for (const form of ['kohya', 'diffusers', 'peft'] as const) {
      shares.length = 0;
      const writing = handlers['lora.write'](
        { input: kept, options: { form, dtype: 'F16' } },
        contextOf((p) => shares.push(p.fraction)).context,
      );
      await writing;
      expect(shares.length).toBeGreaterThan(140);
      expect(shares).toEqual(shares.toSorted((a, b) => a - b));
    }
    await expect(handlers['lora.write']({ input: kept, options: plain }, context)).rejects.toMatchObject({
      name: 'AbortError',
    });
  });

  test('two in one: the ranks add up and nothing is lost', async () => {
    const { context } = contextOf();
    const loras = [
      { input: kept, weight: 1, textEncoderWeight: 1 },
      { input: kept, weight: 0.5, textEncoderWeight: 0.25 },
    ];
    const both = await handlers['lora.merge']({ loras, rank: null, title: 'Both', options: plain }, context);
    expect(both.error).toBeLessThan(1e-6);
    const { metadata } = await open(both.blob);
    expect(metadata['modelspec.merged_from']).toBe('Round (1), Round (0.5, 0.25)');
  });
});
