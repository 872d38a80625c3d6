// Plan: info, convert, merge, resize and bake as typed on the command line: what they write is what they say, headers are kept and changed,
// and what cannot be done ends with exit code 1, the reason and what to do.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { bakeCommand } from './bakeCommand.ts';
import { convertCommand } from './convertCommand.ts';
import { infoCommand, printable } from './infoCommand.ts';
import { loadLora } from './loraFiles.ts';
import { mergeCommand } from './mergeCommand.ts';
import { resizeCommand } from './resizeCommand.ts';

const loras = 'fixtures/sd15-tiny/lora';
let folder: string;
const at = (name: string): string => join(folder, name);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'loratory-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

test('a header cannot command the terminal', () => {
  expect(printable('title = \u001b]0;x\u0007\u009b31m\n\tcat ä')).toBe('title = \ufffd]0;x\ufffd\ufffd31m\n\tcat ä');
});

/** Runs a command and returns what it printed and its exit code. */
async function run(...args: string[]): Promise<{ out: string; err: string; code: number }> {
  let [out, err, code] = ['', '', -1];
  const capture = (add: (text: string) => void) => (text: unknown, done?: unknown) => {
    add(String(text));
    if (typeof done === 'function') (done as () => void)();
    return true;
  };
  const spies = [
    vi.spyOn(process.stdout, 'write').mockImplementation(capture((text) => (out += text))),
    vi.spyOn(process.stderr, 'write').mockImplementation(capture((text) => (err += text))),
    vi.spyOn(process, 'exit').mockImplementation(((value: number) => void (code = value)) as never),
  ];
  const before = process.exitCode;
  try {
    const program = new Command('loratory');
    for (const command of [bakeCommand(), convertCommand(), infoCommand(), mergeCommand(), resizeCommand()])
      program.addCommand(command);
    await program.parseAsync(args, { from: 'user' });
  } finally {
    process.exitCode = before;
    for (const spy of spies) spy.mockRestore();
  }
  return { out, err, code };
}

test('info: content, tools and header; JSON too', async () => {
  const { out, code } = await run('info', `${loras}/kohya/locon.safetensors`);
  expect(code).toBe(0);
  for (const text of [
    'kinds              LoRA, LoCon',
    'ranks              2',
    'A1111      yes',
    'ss_network_dim = 2',
    '"conv_dim": "2"',
  ]) {
    expect(out).toContain(text);
  }
  const json = JSON.parse((await run('info', '--json', `${loras}/kohya/unet.safetensors`)).out) as Record<
    string,
    unknown
  >;
  expect(json).toMatchObject({ form: 'kohya', unetModules: 128, alphas: [2], metadata: { ss_network_dim: '2' } });
  const peft = (await run('info', `${loras}/peft`)).out;
  expect(peft).toContain('textEncoderModules 12');
  expect(peft).toContain('lora_alpha = 2');
});

test('convert: to every form and back, the header kept and added to', async () => {
  const from = `${loras}/kohya/unet_te.safetensors`;
  const there = await run('convert', from, at('d.safetensors'), '--form', 'diffusers', '--dtype', 'fp32');
  expect(there).toMatchObject({ code: 0, out: `${at('d.safetensors')}: 140 layers in diffusers' form\n` });
  expect((await run('convert', at('d.safetensors'), at('p'), '--form', 'peft', '--dtype', 'fp32')).code).toBe(0);
  expect(readdirSync(at('p')).sort()).toEqual(['text_encoder', 'unet']);
  const picture = at('thumbnail.png');
  const { default: sharp } = await import('sharp');
  await sharp({ create: { width: 20, height: 10, channels: 3, background: 'red' } })
    .png()
    .toFile(picture);
  const back = await run(
    'convert',
    at('p'),
    at('k.safetensors'),
    '--dtype',
    'fp32',
    '--set',
    'modelspec.title=Cat=1',
    '--thumbnail',
    picture,
  );
  expect(back.code).toBe(0);
  const [original, again] = [await loadLora(from), await loadLora(at('k.safetensors'))];
  expect(again.modules).toEqual(original.modules);
  expect(again.metadata).toMatchObject({ ss_network_dim: '2', 'modelspec.title': 'Cat=1' });
  expect(again.metadata['modelspec.thumbnail']).toMatch(/^data:image\/jpeg;base64,/);
  expect(again.metadata).not.toHaveProperty('format');
});

test('merge and resize: ranks, errors, header', async () => {
  const [a, b] = [`${loras}/kohya/unet.safetensors`, `${loras}/kohya/locon.safetensors`];
  expect((await run('merge', `${a}:0.8`, `${b}:0.5`, at('m.safetensors'), '--dtype', 'fp32')).out).toContain(
    'unet (0.8) + locon (0.5), 178 layers',
  );
  const merged = await loadLora(at('m.safetensors'));
  expect(new Set(merged.modules.map(({ rank }) => rank))).toEqual(new Set([2, 4]));
  expect(merged.metadata).toMatchObject({ ss_network_dim: '4', 'modelspec.merged_from': 'unet (0.8), locon (0.5)' });
  const text = `${loras}/diffusers/te_flat.safetensors`;
  const own = (await run('merge', `${text}:0.5:-2`, at('t.safetensors'), '--dtype', 'fp32')).out;
  expect(own).toContain('te_flat (0.5, -2), 12 layers');
  const [before, after] = [await loadLora(text), await loadLora(at('t.safetensors'))];
  expect(after.modules[0]!.up[0]).toBeCloseTo(-2 * before.modules[0]!.up[0]!, 6);
  const { out } = await run('resize', at('m.safetensors'), at('r.safetensors'), '--rank', '2');
  expect(out).toMatch(/\d\.\d\d % {2}rank {4}4 -> 2 +down_blocks\.1/);
  expect(out).toMatch(/in total, of 178 layers/);
  expect(new Set((await loadLora(at('r.safetensors'))).modules.map(({ rank }) => rank))).toEqual(new Set([2]));
});

test('bake: a folder and a single file', async () => {
  const lora = `${loras}/kohya/unet_te.safetensors:0.5`;
  expect((await run('bake', 'fixtures/sd15-tiny/model', lora, at('model'))).code).toBe(0);
  expect(readdirSync(at('model')).sort()).toEqual([
    'model_index.json',
    'scheduler',
    'text_encoder',
    'tokenizer',
    'unet',
    'vae',
  ]);
  expect((await run('bake', 'fixtures/sd15-tiny/model', lora, at('single.safetensors'))).code).toBe(0);
  expect((await run('info', at('single.safetensors'))).out).toContain('no LoRA');
  // Neither into the model that it is made from, nor over one of its files or the LoRA.
  const weights = at('model/unet/diffusion_pytorch_model.safetensors');
  const before = readFileSync(weights);
  for (const [from, to] of [
    [lora, at('model')],
    [lora, weights],
    [at('single.safetensors'), at('single.safetensors')],
  ] as const) {
    const refused = await run('bake', at('model'), from, to);
    expect(refused.code).toBe(1);
    expect(refused.err).toContain(`Baking into ${to} would overwrite`);
    expect(refused.err).toContain('Name another place: weights that were baked cannot be taken out again.');
  }
  expect(readFileSync(weights).equals(before)).toBe(true);
  // It writes a whole model twice, which takes long where others compute.
}, 30_000);

test.each<[string, string[], string, string]>([
  [
    'a missing file',
    ['convert', 'nowhere.safetensors', 'x'],
    'There is no LoRA file or folder at nowhere.safetensors.',
    'Check the path.',
  ],
  [
    'a broken file',
    ['resize', `${loras}/bad/truncated.safetensors`, 'x', '--rank', '1'],
    'it ends early',
    'Download the file again',
  ],
  [
    'a folder without an adapter',
    ['convert', 'fixtures/clip-tokenizer', 'x'],
    'There is no PEFT adapter',
    'Check the path.',
  ],
  [
    'a rank that is no number',
    ['resize', `${loras}/kohya/unet.safetensors`, 'x', '--rank', '0'],
    'The rank is 0',
    'whole number',
  ],
])('%s ends with the reason', async (_what, args, reason, remedy) => {
  const { err, code } = await run(...args);
  expect(code).toBe(1);
  expect(err).toContain(reason);
  expect(err).toContain(remedy);
});

test('what a form cannot hold, and what has no low rank', async () => {
  const { dora, full } = await madeFiles();
  expect((await run('convert', dora, at('x'), '--form', 'peft')).code).toBe(0);
  expect((await run('convert', full, at('y'), '--form', 'peft')).err).toContain(
    "PEFT's form holds low-rank pairs only",
  );
  expect((await run('merge', full, at('x.safetensors'))).err).toContain('Say to which rank it should be brought.');
  expect((await run('resize', full, at('f.safetensors'), '--rank', '2')).code).toBe(0);
});

/** A DoRA and a full difference, on one layer each. */
async function madeFiles(): Promise<{ dora: string; full: string }> {
  const { saveLora } = await import('./loraFiles.ts');
  const { asWeightChange } = await import('../formats/lora/products.ts');
  const { modules } = await loadLora(`${loras}/kohya/unet.safetensors`);
  const change = asWeightChange(modules[0]!);
  const options = { form: 'kohya', dtype: 'F32', metadata: {} } as const;
  const magnitude = { axis: 'output', values: new Float32Array(change.outFeatures).fill(1) } as const;
  await saveLora(at('dora.safetensors'), { modules: [], changes: [{ ...change, magnitude }] }, options);
  const values = new Float32Array(change.outFeatures * change.inFeatures).map((_, i) => Math.sin(i));
  await saveLora(
    at('full.safetensors'),
    { modules: [], changes: [{ ...change, delta: { kind: 'full', values } }] },
    options,
  );
  return { dora: at('dora.safetensors'), full: at('full.safetensors') };
}
