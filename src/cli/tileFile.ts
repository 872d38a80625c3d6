/** What was found out about this machine's GPU, for the command line: a file in the user's cache folder, which may be deleted at any time. */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TunerMemory } from '../gpu/tuner.ts';

type Choices = Record<string, Record<string, string>>;

const usualPath = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'loratory', 'tiles.json');

/** Keeps choices by device. Of processes that write at the same time, one may lose what it found out: it will find it out again. */
export function tileFile(path = usualPath): TunerMemory {
  const read = async (): Promise<Choices> => JSON.parse(await readFile(path, 'utf8')) as Choices;
  return {
    load: async (device) => Object.entries((await read())[device] ?? {}),
    save: async (device, choices) => {
      // There is no such file yet, or it is damaged.
      const all = await read().catch((): Choices => ({}));
      const text = JSON.stringify({ ...all, [device]: { ...all[device], ...Object.fromEntries(choices) } });
      await mkdir(dirname(path), { recursive: true });
      const draft = `${path}.${process.pid}`;
      await writeFile(draft, text);
      await rename(draft, path);
    },
  };
}
