// Plan: what goes wrong for real people: files that are no pictures, ids that do not exist, Hubs that answer with errors, a
// repository without a UNet, a browser without WebGPU. Each gets a message with the name and the remedy; the rest goes on.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, type Page } from '@playwright/test';
import { startHub, type Fault } from '../tools/hub/server.ts';
import { writePictures } from './support/pictures.ts';

let folder: string;

test.beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'loratory-bad-'));
});

test.afterAll(() => rm(folder, { recursive: true, force: true }));

test('bad files are listed with their remedies, the good ones are taken', async ({ page }) => {
  const [good = ''] = await writePictures(folder, 1);
  await writeFile(join(folder, 'letter.png'), 'Dear reader, this is no picture.');
  const whole = await import('node:fs/promises').then(({ readFile }) => readFile(good));
  await writeFile(join(folder, 'half.png'), whole.subarray(0, whole.length >> 1));
  // A PNG header that promises 12,000 x 12,000 pixels.
  const huge = Buffer.from(whole);
  huge.writeUInt32BE(12_000, 16);
  huge.writeUInt32BE(12_000, 20);
  await writeFile(join(folder, 'huge.png'), huge);
  await page.goto('/#images');
  const files = ['letter.png', 'half.png', 'huge.png'].map((name) => join(folder, name));
  await page.getByTestId('image-input').setInputFiles([...files, good]);
  const refused = page.getByRole('alert', { name: 'Files that were not taken' });
  await expect(refused).toContainText('letter.png is not a PNG, JPEG, WebP, GIF or AVIF picture.');
  await expect(refused).toContainText('half.png is damaged and cannot be decoded.');
  await expect(refused).toContainText(
    'huge.png is 12000 x 12000 pixels; at most 16384 on a side and 120 million in all are taken.',
  );
  await expect(refused).toContainText('Scale it down');
  await expect(page.getByRole('list', { name: 'Training images' }).getByRole('listitem')).toHaveCount(1);

  await page.getByRole('button', { name: 'Remove picture-1.png' }).click();
  await expect(page.getByRole('list', { name: 'Training images' }).getByRole('listitem')).toHaveCount(0);
  await page.getByRole('button', { name: 'Undo' }).click();
  await expect(page.getByRole('list', { name: 'Training images' }).getByRole('listitem')).toHaveCount(1);
});

async function load(page: Page, endpoint: string, id: string): Promise<void> {
  await page.goto('/');
  await page.getByRole('textbox', { name: 'Hub id', exact: true }).fill(id);
  await page.getByRole('button', { name: /^Advanced: endpoint/ }).click();
  await page.getByRole('textbox', { name: 'Hub endpoint', exact: true }).fill(endpoint);
  await page.getByRole('button', { name: 'Load', exact: true }).click();
}

test('a Hub id that does not exist', async ({ page }) => {
  const hub = await startHub({ root: 'fixtures/sd15-tiny/model' });
  await load(page, hub.url, 'nobody/nothing');
  await expect(page.getByText(/nobody\/nothing/).first()).toBeVisible();
  await expect(page.getByRole('alert')).toContainText('nobody/nothing');
  await hub.close();
});

test('a repository without a UNet', async ({ page }) => {
  await writeFile(join(folder, 'model_index.json'), '{"_class_name": "StableDiffusionPipeline"}');
  const hub = await startHub({ root: folder });
  const [id = ''] = await hub.ids();
  await load(page, hub.url, id);
  await expect(page.getByRole('alert')).toContainText(/unet/i);
  await hub.close();
});

for (const [what, fault, text] of [
  ['is too busy', { status: 429, retryAfter: 3600 }, /too many|rate|3600|hour/i],
  ['refuses', { status: 403 }, /local\/model/],
] as const satisfies readonly (readonly [string, Fault, RegExp])[]) {
  test(`a Hub that ${what}`, async ({ page }) => {
    const hub = await startHub({ root: 'fixtures/sd15-tiny/model', fault: () => fault });
    await load(page, hub.url, 'local/model');
    await expect(page.getByRole('alert')).toContainText(text);
    await hub.close();
  });
}

test('no WebGPU at all: a kind screen that says what to do', async ({ page }) => {
  await page.addInitScript(() => {
    Object.defineProperty(Navigator.prototype, 'gpu', { get: () => undefined });
  });
  await page.route('**/studio.worker*.js', async (route) => {
    const response = await route.fetch();
    const prelude = "Object.defineProperty(WorkerNavigator.prototype, 'gpu', { get: () => undefined });\n";
    await route.fulfill({ response, body: prelude + (await response.text()) });
  });
  await page.goto('/');
  await expect(page.getByText(/WebGPU/).first()).toBeVisible();
  await expect(page.getByText(/Chrome/).first()).toBeVisible();
});
