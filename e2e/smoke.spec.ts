// Plan: the built page loads under its policy without a complaint, and WebGPU is there in a module worker, where training runs.
import { expect, test } from '@playwright/test';

// Stands beside the page as a file of its own, since the policy lets no blob or inline script run.
const probe = `
  const adapter = await navigator.gpu?.requestAdapter();
  const device = await adapter?.requestDevice();
  postMessage(device === undefined ? 'none' : adapter.info.architecture);
`;

test('the page obeys its own policy', async ({ page }) => {
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  const response = await page.goto('/');
  const policy = response?.headers()['content-security-policy'] ?? '';
  expect(policy).toContain("default-src 'none'");
  expect(policy).toContain("frame-ancestors 'none'");
  const inPage = page.locator('meta[http-equiv="Content-Security-Policy"]');
  await expect(inPage).toHaveAttribute('content', /script-src 'self'; worker-src 'self'; style-src 'self'/);
  await expect(page).toHaveTitle(/Loratory/);
  expect(complaints).toEqual([]);
  // A policy that did not bite would prove nothing.
  const title = await page.evaluate(() => {
    const script = document.createElement('script');
    script.textContent = 'document.title = "an inline script ran"';
    document.head.append(script);
    return document.title;
  });
  expect(title).toMatch(/Loratory/);
});

test('WebGPU works in a module worker', async ({ page }) => {
  await page.route('**/probe.js', (route) => route.fulfill({ contentType: 'text/javascript', body: probe }));
  await page.goto('/');
  const architecture = await page.evaluate(
    async () =>
      new Promise<string>((resolve, reject) => {
        const worker = new Worker('/probe.js', { type: 'module' });
        worker.addEventListener('message', (event: MessageEvent<string>) => resolve(event.data));
        worker.addEventListener('error', (event) => reject(new Error(event.message || 'the worker did not load')));
      }),
  );
  expect(architecture).toBe('swiftshader');
});
