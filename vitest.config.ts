import { defineConfig, type TestProjectConfiguration } from 'vitest/config';
import { lavapipe, swiftshader, type Driver } from './tools/setup/drivers.mjs';

/**
 * tfjs lies in hundreds of modules with extensionless imports, which Node does not take: they are bundled once, into node_modules/.vite. To
 * have Vite transform them for every test file took three seconds of each.
 */
const bundled = [
  '@tensorflow/tfjs-core',
  '@tensorflow/tfjs-core/dist/register_all_gradients',
  '@tensorflow/tfjs-backend-webgpu',
  '@tensorflow/tfjs-backend-cpu/dist/base',
  '@tensorflow/tfjs-backend-cpu/dist/register_all_kernels',
];

const shared = {
  // Not `main`, which is a bundle of its own: one copy of tfjs' engine for all of them.
  environments: { ssr: { resolve: { mainFields: ['module', 'main'] } } },
  test: { deps: { optimizer: { ssr: { enabled: true, include: bundled } } } },
};

/** The GPU tests on one software Vulkan driver, less those that `exclude` names. */
function gpuProject(
  { name, icd, architectureOrDevice, shaderF16 }: Driver,
  exclude: readonly string[] = [],
): TestProjectConfiguration {
  return {
    ...shared,
    test: {
      ...shared.test,
      name: `gpu-${name}`,
      include: ['src/**/*.gpu.test.ts', 'tools/**/*.gpu.test.ts'],
      exclude: ['**/node_modules/**', ...exclude],
      setupFiles: ['tools/test/webgpu.setup.ts'],
      // A process of its own for each file: the Vulkan loader reads the process' environment, once, and a device that is
      // lost in one file must not be lost in the next.
      pool: 'forks',
      env: {
        VK_ICD_FILENAMES: icd,
        VK_DRIVER_FILES: icd,
        GPU_TEST_DRIVER: name,
        GPU_TEST_DEVICE: architectureOrDevice,
        GPU_TEST_SHADER_F16: String(shaderF16),
      },
      testTimeout: 900_000,
      hookTimeout: 600_000,
    },
  };
}

export default defineConfig({
  test: {
    // Vitest leaves a core free, which on two cores makes one process of them.
    maxWorkers: 2,
    projects: [
      {
        ...shared,
        test: {
          ...shared.test,
          name: 'unit',
          include: ['src/**/*.test.ts', 'tools/**/*.test.ts', 'bench/**/*.test.ts'],
          exclude: ['**/*.gpu.test.ts', '**/node_modules/**'],
          // Tests of a second on a machine of its own take ten where others compute beside them.
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      gpuProject(lavapipe),
      // Kernels, gradients, layers and adapters. Whole sessions take it minutes; the journeys in Chromium run some on it.
      gpuProject(swiftshader, ['src/cli/*.gpu.test.ts', 'src/worker/*.gpu.test.ts']),
    ],
  },
});
