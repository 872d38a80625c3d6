import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';
import { contentSecurityPolicy, headers } from './tools/contentSecurityPolicy.ts';

const port = Number(process.env['PORT'] ?? 4173);

export default defineConfig({
  plugins: [react(), contentSecurityPolicy()],
  resolve: { mainFields: ['browser', 'module', 'main'] },
  worker: { format: 'es', rolldownOptions: { output: { keepNames: true } } },
  build: {
    target: 'es2023',
    sourcemap: true,
    // A data: URL would be one more thing for the policy to allow.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // Names of error classes are shown and compared.
    rolldownOptions: { output: { keepNames: true } },
  },
  preview: { host: 'localhost', port, strictPort: true, headers },
});
