/**
 * The journeys of e2e/, in the Chromium that the system has, on its software WebGPU, against the production build.
 * `CHROMIUM` names another executable; `npm run test:e2e -- --ui` is the way to watch.
 */
import { defineConfig } from '@playwright/test';

const port = Number(process.env['PORT'] ?? 4173);

/** These take minutes each, the others one or two: begun first, they leave no worker idle at the end. */
const long = ['journey', 'resume', 'demo', 'pictures'].map((name) => `**/${name}.spec.ts`);

export default defineConfig({
  testDir: 'e2e',
  projects: [
    { name: 'long', testMatch: long },
    { name: 'short', testIgnore: long },
  ],
  // Two at a time: while one compiles shaders on one core, the other's software GPU has the rest.
  workers: 2,
  fullyParallel: false,
  forbidOnly: true,
  timeout: 20 * 60_000,
  expect: { timeout: 60_000 },
  reporter: [['list']],
  use: {
    baseURL: `http://localhost:${port}`,
    viewport: { width: 1440, height: 900 },
    // The page is drawn on the same software GPU that trains.
    contextOptions: { reducedMotion: 'reduce' },
    actionTimeout: 60_000,
    trace: 'retain-on-failure',
    screenshot: 'only-on-failure',
    launchOptions: {
      executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
      args: ['--no-sandbox', '--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'],
    },
  },
  webServer: {
    command: `npx vite preview --port ${port}`,
    url: `http://localhost:${port}`,
    reuseExistingServer: false,
    timeout: 60_000,
    env: { PORT: String(port) },
  },
});
