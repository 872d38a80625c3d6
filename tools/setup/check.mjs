/**
 * `node tools/setup/check.mjs`: says whether this machine has what the tests need, and exits 1 if anything is missing. It asks
 * each thing to work instead of looking for a package, so any way of installing will do.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { lavapipe, swiftshader } from './drivers.mjs';

/** What the adapter of the driver named by the environment says of itself; ends the process. */
async function printAdapter() {
  const { create } = await import('webgpu');
  const gpu = create([]);
  const adapter = await gpu.requestAdapter();
  const { architecture = '', device = '', description = '' } = adapter?.info ?? {};
  console.log(
    JSON.stringify({ name: `${architecture} ${device}`, description, f16: adapter?.features.has('shader-f16') }),
  );
  // Dawn crashes at exit if the GPU object was collected before.
  process.exit(gpu === undefined ? 1 : 0);
}

/** @param {import('./drivers.mjs').Driver} driver */
function checkDriver({ name, icd, architectureOrDevice, shaderF16 }) {
  const { stdout } = spawnSync(process.execPath, [fileURLToPath(import.meta.url), 'adapter'], {
    encoding: 'utf8',
    env: { ...process.env, VK_ICD_FILENAMES: icd, VK_DRIVER_FILES: icd },
  });
  const line = stdout.split('\n').find((text) => text.startsWith('{'));
  /** @type {{ name: string, description: string, f16?: boolean }} */
  const found = line === undefined ? { name: '', description: '' } : JSON.parse(line);
  const works = found.name.includes(architectureOrDevice) && found.f16 === shaderF16;
  console.log(
    `${works ? 'ok     ' : 'MISSING'} ${name}: ${works ? found.description : `no fit WebGPU adapter with ${icd}`}`,
  );
  return works;
}

function checkBrowser() {
  const executable = process.env['CHROMIUM'] ?? '/usr/bin/chromium';
  const { status, stdout } = spawnSync(executable, ['--version'], { encoding: 'utf8' });
  const works = status === 0;
  console.log(`${works ? 'ok     ' : 'MISSING'} browser: ${works ? stdout.trim() : `${executable} does not start`}`);
  return works;
}

if (process.argv[2] === 'adapter') {
  await printAdapter();
} else {
  const works = [checkBrowser(), checkDriver(lavapipe), checkDriver(swiftshader)];
  process.exit(works.every(Boolean) ? 0 : 1);
}
