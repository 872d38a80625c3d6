// Plan: a run that is replayed from its recipe, dies twice on the way (after a checkpoint, and with a damaged one as its newest) and is
// gone on with by --resume each time, gives the bytes and losses of the run that the recipe was written by. What was begun is neither
// overwritten nor gone on with under other settings. Where the GPU has no room, it goes on in a cheaper way.
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { type Miniature, writeMiniature } from '../../tools/miniature.ts';
import { bytesSource } from '../core/files.ts';
import { GpuOutOfMemoryError } from '../gpu/errors.ts';
import { encodePng } from '../formats/png.ts';
import { openSafetensors } from '../formats/safetensors.ts';
import { CheckpointFolder } from './checkpointFolder.ts';
import { trainCommand } from './trainCommand.ts';

let miniature: Miniature;
let work: string;

beforeAll(async () => {
  miniature = await writeMiniature();
  work = await mkdtemp(join(tmpdir(), 'loratory-train-'));
  await mkdir(join(work, 'images'));
  for (const name of ['a', 'b', 'c']) {
    const data = new Uint8Array(16 * 16 * 3).map((_, i) => (i * name.charCodeAt(0)) % 251);
    await writeFile(join(work, 'images', `${name}.png`), encodePng({ width: 16, height: 16, data }));
    await writeFile(join(work, 'images', `${name}.txt`), `picture ${name}, red, green`);
  }
});

afterEach(() => vi.restoreAllMocks());

afterAll(async () => {
  await miniature.remove();
  await rm(work, { recursive: true });
});

/** Runs `loratory train` in this process. Returns its exit code and what it said. */
async function train(out: string, ...flags: string[]): Promise<{ code: unknown; said: string }> {
  const exit = vi.spyOn(process, 'exit').mockImplementation(() => undefined as never);
  const stderr = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  vi.spyOn(process.stdout, 'write').mockImplementation((_text, done?: unknown) => {
    if (typeof done === 'function') done();
    return true;
  });
  const places = ['--model', miniature.folder, '--images', join(work, 'images'), '--out', join(work, out)];
  await trainCommand().parseAsync([...places, '--losses', join(work, `${out}.json`), ...flags], { from: 'user' });
  const code = exit.mock.calls[0]?.[0];
  const said = stderr.mock.calls.map(([text]) => String(text)).join('');
  vi.restoreAllMocks();
  process.exitCode = undefined;
  return { code, said };
}

/** The tensors' bytes by name; the metadata says when it was written. */
async function result(out: string): Promise<{ losses: unknown; tensors: Map<string, Uint8Array> }> {
  const file = await openSafetensors(bytesSource(out, new Uint8Array(await readFile(join(work, out)))));
  const tensors = new Map<string, Uint8Array>();
  for (const name of file.names()) tensors.set(name, await file.readBytes(name));
  return { losses: JSON.parse(await readFile(join(work, `${out}.json`), 'utf8')), tensors };
}

/** Lets a run die while it keeps the checkpoint of `step`; `meanwhile` is what had been done of it by then. */
function dieAt(step: number, meanwhile: (keep: () => Promise<void>) => Promise<void>): void {
  const keep = Reflect.get(CheckpointFolder.prototype, 'keep');
  vi.spyOn(CheckpointFolder.prototype, 'keep').mockImplementation(async function (this: CheckpointFolder, checkpoint) {
    if (checkpoint.position.globalStep < step) return keep.call(this, checkpoint);
    await meanwhile(() => keep.call(this, checkpoint));
    throw new Error('died');
  });
}

test('replayed from its recipe, killed twice and gone on with: the same bytes', async () => {
  const recipe = join(work, 'recipe.json');
  const settings = [
    '--steps',
    '5',
    '--save-every',
    '1',
    '--save-keep',
    '2',
    '--rank',
    '2',
    '--lr',
    '1e-3',
    '--batch',
    '1',
  ];
  const drawn = [
    '--flip',
    '0.5',
    '--shuffle-caption',
    '--caption-dropout-rate',
    '0.3',
    '--network-dropout',
    '0.2',
    '--zero-terminal-snr',
  ];
  const first = await train('first.safetensors', ...settings, ...drawn, '--save-recipe', recipe);
  expect(first).toMatchObject({ code: 0, said: expect.stringContaining('Zero terminal SNR is on, but') });
  const expected = await result('first.safetensors');
  expect(expected.losses).toHaveLength(5);
  const files = (await readdir(work)).filter((name) => name.startsWith('first'));
  expect(files.sort()).toEqual([
    'first-step00000004.safetensors',
    'first-step00000005.safetensors',
    'first.safetensors',
    'first.safetensors.json',
  ]);

  dieAt(2, (keep) => keep());
  expect((await train('again.safetensors', '--recipe', recipe)).said).toContain('died');

  const overwritten = await train('again.safetensors', '--recipe', recipe);
  expect(overwritten.code).toBe(1);
  expect(overwritten.said).toContain('again.unfinished holds a run that stopped after 2 steps.');
  expect(overwritten.said).toContain('Go on with it by --resume, or delete the folder to begin anew.');
  const other = await train('again.safetensors', '--recipe', recipe, '--resume', '--seed', '7', '--trigger', 'sks');
  expect(other.code).toBe(1);
  expect(other.said).toContain('again.unfinished was begun differently: the trigger word, seed.');

  const folder = join(work, 'again.unfinished');
  dieAt(4, async (keep) => {
    await keep();
    const newest = join(folder, 'step-000004.safetensors');
    await writeFile(newest, (await readFile(newest)).subarray(0, 1000));
  });
  const second = await train('again.safetensors', '--recipe', recipe, '--resume');
  expect(second.said).toContain('Going on after step 2.');
  expect(second.said).toContain('died');

  const last = await train('again.safetensors', '--recipe', recipe, '--resume');
  expect(last).toMatchObject({ code: 0 });
  expect(last.said).toContain('The checkpoint of step 4 is damaged');
  expect(last.said).toContain('Going on after step 3.');
  expect(await result('again.safetensors')).toEqual(expected);
  expect(await readdir(work)).not.toContain('again.unfinished');
});

test('out of the GPU’s memory, it goes on with smaller batches, also when it is taken up again', async () => {
  const recipe = join(work, 'short.json');
  const memory = ['--batch', '2', '--activation-memory', '0'];
  const flags = ['--steps', '4', '--save-every', '1', '--rank', '2', '--lr', '1e-3', ...memory];
  const batches = 'batches of 1, the gradients of 2 averaged: the same steps, a little slower';
  // Once short of memory, then killed.
  const keep = Reflect.get(CheckpointFolder.prototype, 'keep');
  let isShort = true;
  vi.spyOn(CheckpointFolder.prototype, 'keep').mockImplementation(async function (this: CheckpointFolder, checkpoint) {
    await keep.call(this, checkpoint);
    const { globalStep } = checkpoint.position;
    if (globalStep === 3) throw new Error('died');
    if (globalStep !== 2 || !isShort) return;
    isShort = false;
    throw new GpuOutOfMemoryError('the buffer does not fit', 2 ** 30);
  });
  const first = await train('short.safetensors', ...flags, '--save-recipe', recipe);
  const problem = 'The GPU ran out of memory while 1024 MiB were in use: the buffer does not fit';
  expect(first.said).toContain(`${problem} Going on with ${batches}.`);
  expect(first.said).toContain('Going on after step 2.');
  expect(first.said).toContain('died');
  // The flags are those that it was begun with.
  const last = await train('short.safetensors', ...flags, '--resume');
  expect(last).toMatchObject({ code: 0, said: expect.stringContaining('Going on after step 3.') });
  const file = new Uint8Array(await readFile(join(work, 'short.safetensors')));
  const { metadata } = await openSafetensors(bytesSource('short', file));
  expect(metadata).toMatchObject({ ss_gradient_accumulation_steps: '2', ss_batch_size_per_device: '1' });
  expect((await result('short.safetensors')).losses).toHaveLength(4);
  expect(JSON.parse(await readFile(recipe, 'utf8'))).toMatchObject({
    options: { trainBatchSize: 1, gradientAccumulationSteps: 2 },
  });
});
