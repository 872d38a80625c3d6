/** Trains the full-size model through the command line, twice, and measures: time, the process's peak memory, whether the losses agree. */
import { spawn } from 'node:child_process';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { encodePng } from '../../src/formats/png.ts';

/** This program runs bundled, in dist-node/. */
const runner = join(dirname(fileURLToPath(import.meta.url)), '../tools/run.mjs');

export interface FullSizeRun {
  readonly losses: readonly number[];
  readonly seconds: number;
  /** Highest resident memory of the process, or null where the system does not tell. On a software GPU its memory is in it. */
  readonly peakBytes: number | null;
}

/** One training of the model in `folder`: pictures of `resolution` px, rank 4. Further flags go to `loratory train`. */
export async function trainFullSize(
  folder: string,
  { steps, resolution, flags = [] }: { steps: number; resolution: number; flags?: readonly string[] },
): Promise<FullSizeRun> {
  const work = join(folder, 'training');
  // What a training that was killed may have left.
  await rm(work, { recursive: true, force: true });
  await writePictures(join(work, 'images'), resolution);
  const losses = join(work, 'losses.json');
  const started = performance.now();
  const command = [runner, 'loratory', 'train', '--model', folder, '--images', join(work, 'images')];
  const files = ['--out', join(work, 'adapter.safetensors'), '--losses', losses];
  const options = ['--rank', '4', '--seed', '1', '--batch', '1', '--steps', String(steps)];
  const child = spawn(
    process.execPath,
    [...command, ...files, ...options, '--resolution', String(resolution), ...flags],
    {
      stdio: ['ignore', 'inherit', 'inherit'],
    },
  );
  let peakBytes: number | null = null;
  const watch = setInterval(() => {
    void peakMemory(child.pid).then(
      (bytes) => (peakBytes = bytes ?? peakBytes),
      () => {},
    );
  }, 500);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', resolve);
  });
  clearInterval(watch);
  if (code !== 0) throw new Error(`loratory train ended with ${code}`);
  return {
    losses: JSON.parse(await readFile(losses, 'utf8')) as number[],
    seconds: (performance.now() - started) / 1000,
    peakBytes,
  };
}

/** Linux keeps the highest resident size of a process; null once it has ended. */
async function peakMemory(pid: number | undefined): Promise<number | null> {
  const [, kilobytes] = /VmHWM:\s+(\d+) kB/.exec(await readFile(`/proc/${pid}/status`, 'utf8')) ?? [];
  return kilobytes === undefined ? null : Number(kilobytes) * 1024;
}

async function writePictures(folder: string, side: number): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const [i, caption] of ['a red sky over a field', 'a green hill under clouds'].entries()) {
    const data = Uint8Array.from({ length: side * side * 3 }, (_, at) => {
      const [x, y, k] = [Math.floor(at / 3) % side, Math.floor(at / 3 / side), at % 3];
      return 128 + 100 * Math.sin((x * (i + 1) + y * (k + 1)) / 17);
    });
    await writeFile(join(folder, `${i}.png`), encodePng({ width: side, height: side, data }));
    await writeFile(join(folder, `${i}.txt`), caption);
  }
}
