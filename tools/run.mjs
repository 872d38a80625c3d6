/**
 * `node tools/run.mjs NAME [ARGUMENT...]`: runs a program of entries.mjs, bundled anew when a source is newer than its bundle.
 * The program runs in this very process, so that signals, standard streams and the exit code are its own.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { entries } from './entries.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Milliseconds at which anything under `path` (a file or folder) last changed. @type {(path: string) => number} */
function lastChange(path) {
  const entry = statSync(path, { throwIfNoEntry: false });
  if (entry === undefined) return 0;
  if (!entry.isDirectory()) return entry.mtimeMs;
  // A folder's own time changes when a file in it goes away.
  return readdirSync(path).reduce((latest, name) => Math.max(latest, lastChange(join(path, name))), entry.mtimeMs);
}

const [name = '', ...programArguments] = process.argv.slice(2);
if (!Object.hasOwn(entries, name)) {
  console.error(`Usage: node tools/run.mjs ${Object.keys(entries).join('|')} [ARGUMENT...]`);
  process.exit(2);
}

const bundle = resolve(root, 'dist-node', `${name}.mjs`);
const sources = ['src', 'shaders', 'bench', 'tools', 'vite.node.config.ts', 'package-lock.json'];
const newest = Math.max(...sources.map((source) => lastChange(resolve(root, source))));
if (newest > lastChange(bundle)) {
  const { status } = spawnSync(process.execPath, ['tools/bundle.mjs', name], {
    cwd: root,
    // The program's own output may be read by another program, so nothing of the build's goes to standard output.
    stdio: ['ignore', process.stderr, process.stderr],
  });
  if (status !== 0) process.exit(status ?? 1);
}

process.setSourceMapsEnabled(true);
process.argv = [process.argv0, bundle, ...programArguments];
await import(pathToFileURL(bundle).href);
