/**
 * Makes fixtures/ from the oracle's packs, always the same bytes, in the project's root where ../shared/oracle lies beside it:
 * `node -e "import('vite').then((vite) => vite.runnerImport('./tools/makeFixtures.ts'))"`. A pack keeps its form (goldens.json, goldens/, model/, lora/), but has
 * only the fp16 weights, and of the goldens the files named here; goldens.json keeps the cases that these files suffice for.
 */
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parsePythonJson } from '../src/formats/pythonJson.ts';

const ORACLE = join('..', 'shared', 'oracle');
const FIXTURES = 'fixtures';

// What the engine covers; the rest stays in the oracle, whose packs are replayed whole by `npm run oracle`.
const GOLDENS = new Set(
  `text unet vae schedulers pipeline rng metrics preprocess lora_forward lora_files lora_r4a4 lora_r8a4 lora_grad lora_grad_r4a4 lora_grad_r8a4
   lora_ext_r2a1 lora_te_r4a4 lora_grad_ext lora_grad_unet_te lora_grad_te_only train train_init train_base`.split(
    /\s+/,
  ),
);
const LEFT_OUT = /^pipeline\/.*(pndm|dpmpp)|^train\/(?!base)/;

interface Case {
  readonly id: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}
interface Index extends Record<string, unknown> {
  readonly files: Readonly<Record<string, { readonly path: string }>>;
  readonly cases: readonly Case[];
}

function copyPack(pack: string): void {
  const from = join(ORACLE, pack);
  const to = join(FIXTURES, pack);
  rmSync(to, { recursive: true, force: true });
  mkdirSync(join(to, 'goldens'), { recursive: true });

  const isFullPrecision = (path: string): boolean =>
    path.endsWith('.safetensors') && !path.endsWith('.fp16.safetensors');
  cpSync(join(from, 'model'), join(to, 'model'), {
    recursive: true,
    filter: (path) => !isFullPrecision(path),
  });
  for (const path of ['lora', 'LICENSE-CLIP-vocabulary.txt', 'README.md'])
    cpSync(join(from, path), join(to, path), { recursive: true });

  const path = join(from, 'goldens.json');
  const { files, cases, ...about } = parsePythonJson(path, readFileSync(path, 'utf8')) as Index;
  const keptFiles = Object.entries(files).filter(([key]) => GOLDENS.has(key));
  for (const [, file] of keptFiles) cpSync(join(from, file.path), join(to, file.path));
  const refersToKept = (reference: string): boolean => GOLDENS.has(reference.slice(0, reference.indexOf('#')));
  const keptCases = cases.filter(
    (c) => !LEFT_OUT.test(c.id) && [...c.inputs, ...c.outputs].filter((r) => r.includes('#')).every(refersToKept),
  );
  const lines = keptCases.map((c) => `  ${JSON.stringify(c)}`).join(',\n');
  const head = JSON.stringify({ ...about, files: Object.fromEntries(keptFiles) }, null, 1).replace(/\n\}$/, '');
  writeFileSync(join(to, 'goldens.json'), `${head},\n "cases": [\n${lines}\n ]\n}\n`);
}

copyPack('sd15-tiny');
cpSync(join(ORACLE, 'clip-tokenizer'), join(FIXTURES, 'clip-tokenizer'), { recursive: true });
