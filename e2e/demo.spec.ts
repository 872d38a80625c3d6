// Plan: the first minutes of somebody who has just opened the page. Nothing is chosen and nothing is downloaded: "Try it now", then
// Start training; the step's pictures and the sample grid appear; a picture is drawn with the LoRA and redrawn with the
// slider; the exported file says what it was trained on; and after a reload the demo model works without being fetched again.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, type Page } from '@playwright/test';
import { pixelsOf } from './support/pixels.ts';
import { parseSafetensors } from './support/safetensors.ts';

const steps = 4;

let folder: string;

test.beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'loratory-demo-'));
});

test.afterAll(() => rm(folder, { recursive: true, force: true }));

const room = (page: Page, name: string): Promise<void> => page.getByRole('tab', { name }).click();
const field = (page: Page, name: string) => page.getByRole('textbox', { name, exact: true });

test('try it now: from the first click to a LoRA of the demo model', async ({ page }) => {
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  const fetched: string[] = [];
  const foreign: string[] = [];
  page.on('request', (request) => {
    const { protocol, hostname, pathname } = new URL(request.url());
    if (protocol !== 'blob:' && hostname !== 'localhost') foreign.push(request.url());
    if (pathname.includes('/models/demo/')) fetched.push(pathname);
  });
  await page.goto('/');

  await test.step('one click: demo model, sample set, Train room', async () => {
    const choice = page.getByRole('region', { name: 'Demo model' });
    await expect(page.getByRole('button', { name: /^Get Stable Diffusion 1\.5/ })).toBeVisible();
    await choice.getByRole('button', { name: 'Try it now' }).click();
    await expect(page.getByRole('tab', { name: 'Train' })).toHaveAttribute('data-state', 'active');
    await expect(page.getByRole('button', { name: 'Start training' })).toBeEnabled();
    await expect(page.getByTestId('preset-in-use')).toContainText('Style for the demo model');
    await expect(field(page, 'Resolution')).toHaveValue('64');
    await expect(field(page, 'Resolution')).toBeDisabled();
    await expect(field(page, 'Sample prompt 1')).toHaveValue(/^pixel art of /);
    // The page has only looked at what there is; the weights come when they are needed.
    expect(fetched.filter((path) => path.endsWith('.safetensors'))).toEqual([]);
  });

  await test.step('the images are there with their captions, and more sets beside them', async () => {
    await room(page, 'Images');
    await expect(page.getByLabel('Caption of pixel-art-cat-face.png', { exact: true })).toHaveValue(
      'pixel art of a cat face',
    );
    const count = await page.getByRole('list', { name: 'Training images' }).getByRole('listitem').count();
    expect(count).toBeGreaterThanOrEqual(16);
    await page.getByRole('list', { name: 'Sample sets' }).getByRole('button').nth(1).click();
    await page.getByRole('alertdialog').getByRole('button', { name: 'Cancel' }).click();
    await expect(page.getByRole('list', { name: 'Training images' }).getByRole('listitem')).toHaveCount(count);
  });

  await test.step('train a few steps and watch', async () => {
    await room(page, 'Train');
    await field(page, 'Steps').fill(String(steps));
    await field(page, 'Sample every').fill(String(steps / 2));
    for (const index of [4, 3, 2]) await page.getByRole('button', { name: `Remove sample prompt ${index}` }).click();
    await page.getByRole('button', { name: /^Optimizer and schedule/ }).click();
    await field(page, 'Batch size').fill('1');
    await page.getByRole('button', { name: /^Samples/ }).click();
    await field(page, 'Sample steps').fill('3');
    await page.getByRole('button', { name: /^Validation and checkpoints/ }).click();
    await field(page, 'Checkpoint every').fill(String(steps / 2));
    await expect(page.getByTestId('preset-in-use')).toHaveText('Style for the demo model, 3 changed');
    await page.getByRole('button', { name: 'Start training' }).click();
    const strip = page.getByTestId('strip');
    await expect(strip).toHaveAttribute('data-step', /^[1-9]/, { timeout: 400_000 });
    const clean = strip.getByRole('img', { name: /, clean$/ });
    await expect(clean).toHaveCount(1);
    // Decoded at full size, as this VAE is small.
    expect(await clean.first().evaluate((canvas) => (canvas as HTMLCanvasElement).width)).toBe(64);
    await expect(page.getByTestId('train-phase')).toHaveText('Finished', { timeout: 300_000 });
    // Before the first step, after two, after four.
    await expect(page.getByTestId('story-grid')).toHaveAttribute('data-rows', '3');
  });

  await test.step('draw, and redraw with the slider', async () => {
    await room(page, 'Try');
    await page.getByRole('button', { name: 'Add', exact: true }).click();
    await page.getByRole('button', { name: 'Put Pixel art on the shelf' }).click();
    await page.getByRole('button', { name: 'Close' }).click();
    await field(page, 'Prompt').fill('pixel art of a dog face');
    await expect(field(page, 'Width')).toHaveValue('64');
    await field(page, 'Steps').fill('3');
    await page.getByRole('button', { name: 'Generate' }).click();
    await expect(page.getByText('Pixel art at 1.00')).toBeVisible({ timeout: 400_000 });
    await page.getByTestId('lora-slider').focus();
    await page.keyboard.press('End');
    await expect(page.getByText('Pixel art at 2.00')).toBeVisible({ timeout: 400_000 });
    await expect(page.getByRole('list', { name: 'Latest pictures' }).getByRole('listitem')).toHaveCount(2);
  });

  await test.step('the steps of the training, side by side', async () => {
    await page.getByRole('tab', { name: 'X/Y/Z plot' }).click();
    await page.getByLabel('X axis').selectOption({ label: 'Training step' });
    await page.getByLabel('Y axis').selectOption({ label: 'Nothing' });
    await page.getByRole('button', { name: `Kept: ${steps / 2}, ${steps}` }).click();
    await field(page, 'Steps').fill('2');
    await page.getByRole('button', { name: 'Draw the plot' }).click();
    await expect(page.getByTestId('plot-done')).toContainText('2 of 2 pictures drawn', { timeout: 400_000 });
    const cells = await page.getByTestId('plot-grid').locator('img').all();
    const [half, whole] = await Promise.all(cells.map((image) => pixelsOf(image)));
    expect(half).not.toBe(whole);
  });

  await test.step('the exported file says what it belongs to', async () => {
    await room(page, 'Export');
    await page.getByRole('button', { name: 'Export', exact: true }).click();
    const download = page.waitForEvent('download');
    await page.getByRole('dialog').getByRole('button', { name: 'Save file' }).click();
    const file = await download;
    expect(file.suggestedFilename()).toBe('Pixel art.safetensors');
    await file.saveAs(join(folder, 'demo.safetensors'));
    const { metadata, tensors } = await parseSafetensors(join(folder, 'demo.safetensors'));
    expect(metadata).toMatchObject({
      ss_sd_model_name: 'loratory-demo',
      ss_base_model_version: 'loratory-demo',
      'modelspec.architecture': 'loratory-demo/lora',
      ss_resolution: '(64, 64)',
      ss_steps: String(steps),
    });
    const ups = [...tensors].filter(([name]) => name.endsWith('.lora_up.weight'));
    expect(ups.length).toBeGreaterThan(0);
    expect(ups.some(([, { values }]) => values.some((value) => value !== 0))).toBe(true);
  });

  await test.step('after a reload the model works without being fetched again', async () => {
    const weights = fetched.filter((path) => path.endsWith('.safetensors'));
    expect(new Set(weights).size).toBe(weights.length);
    expect(weights.length).toBeGreaterThan(0);
    await page.route('**/models/demo/**', (route) => route.abort());
    await page.reload();
    await room(page, 'Try');
    await page.getByRole('button', { name: 'Generate' }).click();
    await expect(page.getByRole('img', { name: /^Generated picture/ })).toBeVisible({ timeout: 400_000 });
    expect(fetched.filter((path) => path.endsWith('.safetensors'))).toEqual(weights);
  });

  // The list of files, which was refused on purpose.
  expect(complaints.filter((text) => !text.includes('net::ERR_FAILED'))).toEqual([]);
  expect(foreign).toEqual([]);
});
