/**
 * Makes Node look like a browser with WebGPU, for `*.gpu.test.ts`: Dawn's classes as globals and `navigator.gpu`.
 *
 * The Vulkan driver is chosen by the environment that vitest.config.ts sets for each project. A test that silently ran on
 * another device, or on none, would prove nothing, so a missing or wrong driver fails every test file here.
 */
import { create, globals } from 'webgpu';

Object.assign(globalThis, globals);

// Dawn crashes at exit if the GPU object was collected before: navigator keeps it.
const gpu = create([]);
// Node 20 has no navigator; newer ones have one that cannot be assigned to.
Object.defineProperty(globalThis, 'navigator', {
  value: Object.assign(Object.create(globalThis.navigator ?? {}), { gpu, userAgent: 'node' }),
  configurable: true,
  writable: true,
});

const { GPU_TEST_DRIVER: driver = 'unset', GPU_TEST_DEVICE: expected = 'unset', VK_ICD_FILENAMES: icd } = process.env;
const adapter = await gpu.requestAdapter();
if (adapter === null) {
  throw new Error(
    `No WebGPU adapter on ${driver} (${icd}). Install the software Vulkan drivers: bash tools/setup/install.sh`,
  );
}
const { architecture, device, description } = adapter.info;
if (![architecture, device].some((name) => name.includes(expected))) {
  throw new Error(
    `These tests must run on ${driver}, but Vulkan chose ${description} (${architecture}, ${device}) for ${icd}`,
  );
}
