/**
 * `node tools/test/all.mjs [STAGE...]`: every check of the project, one after the other (a software GPU takes every core),
 * ending in `N passed, N failed`. A stage that breaks, hangs or runs no test has failed; the ones after it run all the same.
 * What a stage printed lies in .cache/test/STAGE.log, and is shown here when it failed.
 */
import { spawn } from 'node:child_process';
import { createWriteStream, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { lavapipe, swiftshader } from '../setup/drivers.mjs';
import { countOracle, countPlaywright, countVitest } from './count.mjs';

/** @typedef {import('./count.mjs').Count} Count */

/**
 * @typedef {object} Stage
 * @property {string} name
 * @property {string[]} command
 * @property {Record<string, string>} [env]
 * @property {(log: string) => Count} [count] reads the tests' outcomes; a stage without it is one check by its exit code
 */

process.chdir(fileURLToPath(new URL('../..', import.meta.url)));
const folder = '.cache/test';
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });

const stageMinutes = 40;
/** @param {string} name @param {string[]} rest */
const tool = (name, ...rest) => [join('node_modules', '.bin', name), ...rest];
/** @param {string} path */
const readJson = (path) => JSON.parse(readFileSync(path, 'utf8'));

/** @param {string} project @returns {Stage} */
function vitest(project) {
  const report = join(folder, `${project}.json`);
  return {
    name: project,
    command: tool(
      'vitest',
      'run',
      '--project',
      project,
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${report}`,
    ),
    count: () => countVitest(readJson(report)),
  };
}

/** @param {string} pack @param {import('../setup/drivers.mjs').Driver} driver @param {string[]} only @returns {Stage} */
function oracle(pack, { name, icd }, only = []) {
  return {
    name: `oracle-${name}:${pack}`,
    command: [process.execPath, 'tools/run.mjs', 'oracle', pack, ...only.flatMap((group) => ['--only', group])],
    env: { VK_ICD_FILENAMES: icd, VK_DRIVER_FILES: icd },
    count: countOracle,
  };
}

// A clone stands alone. Where the whole packs lie beside it, they are replayed rather than fixtures' share of the tiny model.
const sharedPacks = [
  '../shared/oracle/sd15-tiny',
  '../shared/oracle/clip-tokenizer',
  '../shared/oracle/taesd-tiny',
].filter((pack) => existsSync(pack));
const tinyPack = sharedPacks.find((pack) => pack.endsWith('sd15-tiny')) ?? 'fixtures/sd15-tiny';
const playwrightReport = join(folder, 'e2e.json');

// On the driver without f16 every part of the model, but not the long pipelines and trainings, which run the same UNet again, and
// of LoRAs one of each kind: all layers and several at once, the UNet and the text encoder.
const withoutLongCases = (
  'text unet vae lora-files metrics preprocess rng schedulers ' +
  'lora-forward/two lora-forward/r8a4-scale2 lora-grad/ext lora-grad/unet_te'
).split(' ');

/** @type {Stage[]} */
const stages = [
  { name: 'format', command: tool('oxfmt', '--check') },
  { name: 'lint', command: tool('oxlint', '--type-aware', '--deny-warnings') },
  { name: 'types', command: tool('tsc', '-p', '.') },
  { name: 'unused', command: tool('knip') },
  { name: 'build', command: tool('vite', 'build') },
  { name: 'size', command: tool('size-limit') },
  { name: 'programs', command: [process.execPath, 'tools/bundle.mjs'] },
  vitest('unit'),
  vitest('gpu-lavapipe'),
  vitest('gpu-swiftshader'),
  oracle('fixtures/clip-tokenizer', lavapipe),
  oracle('fixtures/sd15-tiny', swiftshader, withoutLongCases),
  oracle(tinyPack, lavapipe),
  ...sharedPacks.filter((pack) => pack !== tinyPack).map((pack) => oracle(pack, lavapipe)),
  {
    name: 'e2e',
    command: tool('playwright', 'test', '--reporter=list,json'),
    env: { PLAYWRIGHT_JSON_OUTPUT_FILE: playwrightReport },
    count: () => countPlaywright(readJson(playwrightReport)),
  },
];

/**
 * Runs the stage's command, everything it prints going to `logFile`.
 * @param {Stage} stage
 * @param {string} logFile
 * @returns {Promise<string | null>} what went wrong, or null
 */
async function execute({ command, env }, logFile) {
  const [file = '', ...parameters] = command;
  const log = createWriteStream(logFile);
  // A process group of its own, so that what the stage started ends with it.
  const child = spawn(file, parameters, {
    env: { ...process.env, ...env },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.stdout.pipe(log, { end: false });
  child.stderr.pipe(log, { end: false });
  const endGroup = () => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch {
      // All of it has ended already.
    }
  };
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    endGroup();
  }, stageMinutes * 60_000);
  /** @type {string | null} */
  const problem = await new Promise((resolve) => {
    child.on('error', (error) => resolve(error.message));
    child.on('close', (code, signal) => resolve(code === 0 ? null : `ended with ${signal ?? `exit code ${code}`}`));
    child.on('exit', endGroup);
  });
  clearTimeout(timer);
  await new Promise((resolve) => log.end(() => resolve(undefined)));
  return timedOut ? `did not end within ${stageMinutes} minutes` : problem;
}

/** @param {Stage} stage @param {string} logFile @returns {Promise<{ count: Count, problem: string | null }>} */
async function judge(stage, logFile) {
  const problem = await execute(stage, logFile);
  if (stage.count === undefined) {
    return { count: { passed: problem === null ? 1 : 0, failed: problem === null ? 0 : 1, skipped: 0 }, problem };
  }
  try {
    const count = stage.count(readFileSync(logFile, 'utf8'));
    if (count.passed + count.failed === 0) return { count: { ...count, failed: 1 }, problem: problem ?? 'ran no test' };
    // Every test passed, and yet the runner says that something did not.
    if (problem !== null && count.failed === 0) return { count: { ...count, failed: 1 }, problem };
    return { count, problem };
  } catch (error) {
    return { count: { passed: 0, failed: 1, skipped: 0 }, problem: problem ?? `left no report: ${String(error)}` };
  }
}

const asked = process.argv.slice(2);
const chosen = asked.length === 0 ? stages : stages.filter(({ name }) => asked.some((part) => name.startsWith(part)));
if (chosen.length === 0) {
  console.error(
    `There is no stage ${asked.join(', ')}; there are:\n${stages.map(({ name }) => `  ${name}`).join('\n')}`,
  );
  process.exit(2);
}

let passed = 0;
let failed = 0;
for (const stage of chosen) {
  const logFile = join(folder, `${stage.name.replaceAll(/[^a-z0-9-]+/g, '_')}.log`);
  const start = performance.now();
  const { count, problem } = await judge(stage, logFile);
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  passed += count.passed;
  failed += count.failed;
  if (count.failed > 0) {
    const lines = readFileSync(logFile, 'utf8').trimEnd().split('\n');
    console.log(`\n--- ${stage.name}: the end of ${logFile}\n${lines.slice(-150).join('\n')}\n---`);
  }
  const skipped = count.skipped > 0 ? `, ${count.skipped} skipped` : '';
  const verdict = count.failed > 0 ? `FAILED${problem === null ? '' : ` (${problem})`}` : 'ok';
  console.log(
    `${stage.name.padEnd(48)} ${seconds.padStart(7)} s  ${count.passed} passed, ${count.failed} failed${skipped}  ${verdict}`,
  );
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
