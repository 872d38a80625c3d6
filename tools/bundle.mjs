/** `node tools/bundle.mjs NAME...`: bundles the named programs of entries.mjs (all when none is named) into dist-node/. */
import { renameSync } from 'node:fs';
import { build } from 'vite';
import { entries } from './entries.mjs';

const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(entries);
for (const name of names) {
  const input = Object.entries(entries).find(([known]) => known === name)?.[1];
  if (input === undefined) {
    console.error(`There is no program ${name}; there are ${Object.keys(entries).join(', ')}.`);
    process.exit(2);
  }
  // Under a name of its own first, so that a program that starts meanwhile never reads half a file.
  const draft = `${name}.${process.pid}.draft.mjs`;
  await build({
    configFile: 'vite.node.config.ts',
    logLevel: 'warn',
    build: { rolldownOptions: { input, output: { entryFileNames: draft } } },
  });
  renameSync(`dist-node/${draft}`, `dist-node/${name}.mjs`);
}
