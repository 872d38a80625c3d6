import { defineConfig } from 'vite';

/**
 * Bundles a Node program into one file that needs no node_modules but the natives. tfjs' ESM has extensionless imports,
 * which Node refuses, so everything is inlined. Which program: tools/bundle.mjs.
 */
export default defineConfig({
  // No DOM to prefer: packages with a Node build give that one.
  resolve: { mainFields: ['module', 'main'] },
  ssr: { noExternal: true, external: ['webgpu', 'sharp'] },
  build: {
    ssr: true,
    outDir: 'dist-node',
    emptyOutDir: false,
    copyPublicDir: false,
    target: 'node20.19',
    sourcemap: 'inline',
    rolldownOptions: { output: { codeSplitting: false } },
  },
});
