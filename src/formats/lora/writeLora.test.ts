/**
 * Plan: the oracle's adapters (text encoder, convolutions, mixed alphas) written in each form and precision and read back: the same
 * layers with the same effect, and exactly the same numbers where the form allows; names and configs as diffusers and PEFT write
 * them; what a form has no words for is refused; ModelSpec's hash.
 */
import { createHash } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { expectClose, fixtureSafetensors } from '../../../tools/testing.ts';
import { bytesSource } from '../../core/files.ts';
import { defined } from '../../core/invariant.ts';
import { openSafetensors } from '../safetensors.ts';
import { asWeightChange, denseChange } from './products.ts';
import { readLora } from './readLora.ts';
import type { KnownModule, LoraFile, LoraForm, LoraModule } from './types.ts';
import { LoraFormError, writeLora, type WriteLoraOptions } from './writeLora.ts';

const known: KnownModule[] = [];
beforeAll(async () => {
  for (const [path, target] of [
    ['unet/diffusion_pytorch_model', 'unet'],
    ['text_encoder/model', 'textEncoder'],
  ] as const) {
    const file = await fixtureSafetensors(`sd15-tiny/model/${path}.fp16.safetensors`);
    known.push(...file.names().map((name) => ({ module: name.replace(/\.weight$/, ''), target })));
  }
});
const load = async (name: string): Promise<LoraFile> =>
  readLora(await fixtureSafetensors(`sd15-tiny/lora/kohya/${name}.safetensors`), known);

type Files = ReadonlyMap<string, Uint8Array<ArrayBuffer>>;

/** Reads what writeLora gave, all folders as one. */
async function read(files: Files): Promise<{ modules: LoraModule[]; forms: LoraForm[] }> {
  const modules: LoraModule[] = [];
  const forms: LoraForm[] = [];
  for (const [path, bytes] of files) {
    if (path.endsWith('.json')) continue;
    const config = files.get(path.replace(/adapter_model\.safetensors$/, 'adapter_config.json'));
    const options =
      config && path !== ''
        ? { adapterConfig: JSON.parse(new TextDecoder().decode(config)) as Record<string, unknown> }
        : {};
    const lora = await readLora(await openSafetensors(bytesSource(path, bytes)), known, options);
    expect([lora.changes, lora.unmatched]).toEqual([[], []]);
    modules.push(...lora.modules);
    forms.push(lora.form);
  }
  return { modules, forms };
}

function expectSameEffect(actual: readonly LoraModule[], expected: readonly LoraModule[], atol: number): void {
  expect(actual.map(({ module, target }) => `${target} ${module}`)).toEqual(
    expected.map(({ module, target }) => `${target} ${module}`),
  );
  actual.forEach((module, i) =>
    expectClose(denseChange(asWeightChange(module)), denseChange(asWeightChange(expected[i]!)), atol, module.module),
  );
}

describe.each(['kohya', 'diffusers', 'peft'] as const)('%s', (form) => {
  it.each(['unet_te', 'locon', 'mixed', 'alpha_ne_rank'])('%s comes back', async (name) => {
    const original = await load(name);
    const full = await read(writeLora(original, { form, dtype: 'F32', metadata: {} }));
    expect(new Set(full.forms)).toEqual(new Set([form]));
    expectSameEffect(full.modules, original.modules, 1e-6);
    // diffusers' form has no alphas: its factor is in the up matrix.
    const exact = full.modules.filter(
      (module, i) => form !== 'diffusers' || original.modules[i]!.alpha === module.rank,
    );
    expect(original.modules).toEqual(expect.arrayContaining(exact));
    const half = await read(writeLora(original, { form, dtype: 'F16', metadata: {} }));
    expectSameEffect(half.modules, original.modules, 4e-3);
  });
});

describe('as the tools write them', () => {
  const options = (form: LoraForm): WriteLoraOptions => ({ form, dtype: 'F32', metadata: { ss_seed: '1' } });

  it("diffusers: the oracle's file, name for name and number for number", async () => {
    const original = await fixtureSafetensors('sd15-tiny/lora/diffusers/unet_te.safetensors');
    const lora = await readLora(original, known);
    const bytes = defined(writeLora(lora, options('diffusers')).get(''));
    const written = await openSafetensors(bytesSource('written', bytes));
    expect([...written.names()].sort()).toEqual([...original.names()].sort());
    for (const name of original.names()) expect(await written.readBytes(name)).toEqual(await original.readBytes(name));
    expect(written.metadata).toMatchObject({ format: 'pt', ss_seed: '1' });
  });

  it('PEFT: two folders with configs whose patterns name what differs', async () => {
    const files = writeLora(await load('mixed'), options('peft'));
    expect([...files.keys()]).toEqual(['unet/adapter_model.safetensors', 'unet/adapter_config.json']);
    const config = JSON.parse(new TextDecoder().decode(files.get('unet/adapter_config.json'))) as Record<
      string,
      unknown
    >;
    expect(config).toMatchObject({ peft_type: 'LORA', r: 2, lora_alpha: 2, use_dora: false });
    const rankPattern = config['rank_pattern'] as Record<string, number>;
    const alphaPattern = config['alpha_pattern'] as Record<string, number>;
    expect(Object.entries(rankPattern).every(([name, rank]) => name.endsWith('to_q') && rank === 4)).toBe(true);
    expect(Object.entries(alphaPattern).every(([name, alpha]) => name.endsWith('to_v') && alpha === 1)).toBe(true);
    expect([...writeLora(await load('unet_te'), options('peft')).keys()]).toHaveLength(4);
  });

  it('what is no low-rank pair has no words in diffusers and PEFT', async () => {
    const { modules } = await load('unet');
    const dora = {
      ...asWeightChange(modules[0]!),
      magnitude: { axis: 'input' as const, values: new Float32Array(32) },
    };
    const lora = { modules: [], changes: [dora] };
    expect(() => writeLora(lora, options('peft'))).toThrow(LoraFormError);
    expect(() => writeLora(lora, options('diffusers'))).toThrow(
      "diffusers' form holds low-rank pairs only, but the adapter changes",
    );
    expect(writeLora(lora, options('kohya')).size).toBe(1);
  });

  it.each(['diffusers', 'peft'] as const)(
    'DoRA comes back from %s: linear layers, convolutions of both kinds',
    async (form) => {
      const { modules } = await load('locon');
      const changes = modules.map((module, i) => ({
        ...asWeightChange(module),
        magnitude: {
          axis: 'output' as const,
          values: Float32Array.from({ length: module.outFeatures }, (_, j) => 1 + i + j / 8),
        },
      }));
      const files = writeLora({ modules: [], changes }, options(form));
      const path = form === 'peft' ? 'unet/adapter_model.safetensors' : '';
      const config = files.get('unet/adapter_config.json');
      const file = await openSafetensors(bytesSource(path, defined(files.get(path))));
      const parsed = config ? (JSON.parse(new TextDecoder().decode(config)) as Record<string, unknown>) : undefined;
      const lora = await readLora(file, known, parsed ? { adapterConfig: parsed } : {});
      expect(parsed?.['use_dora']).toBe(form === 'peft' ? true : undefined);
      expect(lora.modules).toEqual([]);
      expect(lora.changes.map(({ module, magnitude }) => [module, magnitude])).toEqual(
        changes.map(({ module, magnitude }) => [module, magnitude]),
      );
      for (const name of file.names().filter((tensor) => tensor.endsWith('lora_magnitude_vector'))) {
        const { shape } = file.info(name);
        expect(shape.length === 1 || (shape.length === 4 && shape[0] === 1 && shape[1]! > 1)).toBe(true);
      }
      const mixed = { modules: modules.slice(1), changes: changes.slice(0, 1) };
      expect(() => writeLora(mixed, options(form))).toThrow(LoraFormError);
    },
  );

  it("ModelSpec's hash covers the tensors, where the header is ModelSpec's", async () => {
    const lora = await load('unet');
    const metadata = { 'modelspec.sai_model_spec': '1.0.1' };
    const bytes = defined(writeLora(lora, { ...options('kohya'), metadata }).get(''));
    const file = await openSafetensors(bytesSource('x', bytes));
    const data = bytes.subarray(8 + new DataView(bytes.buffer).getUint32(0, true));
    expect(file.metadata['modelspec.hash_sha256']).toBe(`0x${createHash('sha256').update(data).digest('hex')}`);
    expect(file.metadata['sshs_model_hash']).toBe(file.metadata['modelspec.hash_sha256']!.slice(2));
  });
});
