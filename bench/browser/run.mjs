/**
 * `npm run bench:browser -- [--parts hot,model,kernels] [--scale N] [--only TEXT] [--json FILE] [--headed] [--software]`: builds the bench's
 * page, opens it in Chromium (CHROMIUM names another), and prints what it shows. `--software` asks for SwiftShader.
 */
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { chromium } from '@playwright/test';
import { build, preview } from 'vite';

const { values: flags } = parseArgs({
  options: {
    parts: { type: 'string', default: 'hot,model,kernels' },
    scale: { type: 'string' },
    only: { type: 'string' },
    json: { type: 'string' },
    headed: { type: 'boolean', default: false },
    software: { type: 'boolean', default: false },
  },
});
const root = fileURLToPath(new URL('.', import.meta.url));
const outDir = fileURLToPath(new URL('../../dist-bench', import.meta.url));
/** @type {import('vite').InlineConfig} */
const config = {
  root,
  configFile: false,
  logLevel: 'warn',
  resolve: { mainFields: ['browser', 'module', 'main'] },
  build: { outDir, emptyOutDir: true, target: 'es2023', rolldownOptions: { output: { keepNames: true } } },
};
await build(config);
const server = await preview({ ...config, preview: { host: 'localhost', port: 0 } });
const browser = await chromium.launch({
  executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
  headless: !flags.headed,
  args: [
    '--no-sandbox',
    '--enable-unsafe-webgpu',
    // Chromium gives no fine timestamps to pages otherwise.
    '--enable-webgpu-developer-features',
    ...(flags.software ? ['--use-webgpu-adapter=swiftshader'] : ['--enable-features=Vulkan']),
  ],
});
try {
  const page = await browser.newPage();
  const query = new URLSearchParams({ parts: flags.parts });
  if (flags.scale) query.set('scale', flags.scale);
  if (flags.only) query.set('only', flags.only);
  await page.goto(`${server.resolvedUrls?.local[0] ?? ''}?${query}`);
  await page.waitForFunction('window.benchReport || window.benchError', null, { timeout: 60 * 60_000 });
  const error = await page.evaluate('window.benchError');
  if (error) throw new Error(String(error));
  console.log(await page.textContent('#report'));
  if (flags.json) await writeFile(flags.json, JSON.stringify(await page.evaluate('window.benchReport'), null, 2));
} finally {
  await browser.close();
  await server.close();
}
