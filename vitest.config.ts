import { defineConfig } from 'vitest/config';

// tfjs' ESM has extensionless imports, so it is inlined (bundled) rather than left to Node.
const shared = {
  resolve: { mainFields: ['module', 'main'] },
  test: { server: { deps: { inline: [/@tensorflow/] } } },
};

export default defineConfig({
  ...shared,
  test: {
    ...shared.test,
    projects: [
      {
        ...shared,
        test: {
          ...shared.test,
          name: 'unit',
          include: ['src/**/*.test.ts', 'tools/**/*.test.ts'],
          exclude: ['**/*.gpu.test.ts', '**/node_modules/**'],
        },
      },
    ],
  },
});
