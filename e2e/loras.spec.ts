// Plan: the LoRA shelf with the demo model. Two files dropped in and one fetched from a local Hub; their sliders redraw, and at 0
// the picture is the plain model's to the byte, as it is when they are switched off; the text encoder's weight; an embedding; a layer that matches nothing is listed; a LoRA taken
// off comes back by Undo; `<lora:` completes in the prompt, and Ctrl+Up weighs a word; all of it outlives a reload.
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, type Page } from '@playwright/test';
import { startHub } from '../tools/hub/server.ts';
import { writeDemoEmbedding, writeDemoLora } from './support/demoLora.ts';
import { pixelsOf } from './support/pixels.ts';

let folder: string;

test.beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'loratory-loras-'));
  await writeDemoLora(join(folder, 'Dots.safetensors'), 3);
  await writeDemoLora(join(folder, 'Waves.safetensors'), 11, { strange: true, textEncoder: true });
  await writeDemoEmbedding(join(folder, 'sparkle.safetensors'));
});

test.afterAll(() => rm(folder, { recursive: true, force: true }));

const field = (page: Page, name: string) => page.getByRole('textbox', { name, exact: true });
const picture = (page: Page) => page.getByRole('img', { name: /^Generated picture/ });
const drawn = (page: Page) => page.getByRole('list', { name: 'Latest pictures' }).getByRole('listitem');
const slider = (page: Page, name: string) => page.getByRole('slider', { name: `Weight of ${name}`, exact: true });

test('two LoRAs with sliders, and a third from the Hub', async ({ page }) => {
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  await page.goto('/#try');

  const plain = await test.step('the plain model', async () => {
    await field(page, 'Prompt').fill('a red apple');
    await field(page, 'Steps').fill('2');
    await page.getByRole('button', { name: 'Generate' }).click();
    await expect(page.getByText(/^plain model · seed 42/)).toBeVisible({ timeout: 400_000 });
    return pixelsOf(picture(page));
  });

  await test.step('two files on the shelf', async () => {
    await page.getByRole('button', { name: 'Add', exact: true }).click();
    await page.getByRole('tab', { name: 'Files' }).click();
    const files = ['Dots.safetensors', 'Waves.safetensors'].map((name) => join(folder, name));
    await page.getByTestId('lora-input').setInputFiles(files);
    await expect(page.getByRole('button', { name: 'Waves is on the shelf' })).toBeVisible();
    await page.getByRole('button', { name: 'Close' }).click();
    const card = page.getByRole('listitem', { name: 'Waves' });
    await card.getByRole('button', { name: /do not match this model|does not match this model/ }).click();
    await expect(card.getByText('lora_unet_no_such_block_1')).toBeVisible();
    await page.getByRole('button', { name: 'Generate' }).click();
    await expect(page.getByText(/^Dots at 1\.00 \+ Waves at 1\.00/)).toBeVisible({ timeout: 400_000 });
    expect(await pixelsOf(picture(page))).not.toBe(plain);
  });

  await test.step('sliding redraws; at 0 it is the plain model', async () => {
    await slider(page, 'Dots').focus();
    await page.keyboard.press('Home');
    await expect(page.getByText(/^Dots at 0\.00 \+ Waves at 1\.00/)).toBeVisible({ timeout: 400_000 });
    expect(await pixelsOf(picture(page))).not.toBe(plain);
    await slider(page, 'Waves').focus();
    await page.keyboard.press('Home');
    await expect(page.getByText(/^Dots at 0\.00 \+ Waves at 0\.00/)).toBeVisible({ timeout: 400_000 });
    expect(await pixelsOf(picture(page))).toBe(plain);
  });

  await test.step('switched off, it is the plain model too', async () => {
    await page.getByRole('textbox', { name: 'Weight of Dots, as a number' }).fill('1.5');
    await page.keyboard.press('Enter');
    await expect(page.getByText(/^Dots at 1\.50 \+ Waves at 0\.00/)).toBeVisible({ timeout: 400_000 });
    await page.getByRole('switch', { name: 'Use Waves' }).click();
    await page.getByRole('switch', { name: 'Use Dots' }).click();
    await expect(page.getByText(/^plain model · seed 42/)).toBeVisible({ timeout: 400_000 });
    expect(await pixelsOf(picture(page))).toBe(plain);
  });

  await test.step('the text encoder at a weight of its own', async () => {
    const shown = (): Promise<string> => pixelsOf(picture(page));
    await page.getByRole('switch', { name: 'Use Waves' }).click();
    await expect(page.getByText(/^Waves at 0\.00/)).toBeVisible({ timeout: 400_000 });
    const card = page.getByRole('listitem', { name: 'Waves' });
    await card.getByRole('button', { name: 'More about Waves' }).click();
    const own = card.getByRole('checkbox', { name: 'Another weight for the text encoder' });
    await own.check();
    await card.getByRole('slider', { name: 'Text encoder weight of Waves' }).focus();
    await page.keyboard.press('End');
    // The UNet's part is at 0 still.
    await expect.poll(shown, { timeout: 400_000 }).not.toBe(plain);
    await own.uncheck();
    await expect.poll(shown, { timeout: 400_000 }).toBe(plain);
    await page.getByRole('switch', { name: 'Use Waves' }).click();
    await expect(page.getByText(/^plain model · seed 42/)).toBeVisible({ timeout: 400_000 });
  });

  await test.step('a textual-inversion embedding', async () => {
    await page.getByRole('button', { name: 'Add', exact: true }).click();
    await page.getByRole('tab', { name: 'Embeddings' }).click();
    await page.getByTestId('embedding-input').setInputFiles(join(folder, 'sparkle.safetensors'));
    await expect(page.getByRole('list', { name: 'Embeddings' })).toContainText('2 tokens · 128 wide');
    await page.getByRole('list', { name: 'Embeddings' }).getByRole('button', { name: 'sparkle', exact: true }).click();
    await page.getByRole('button', { name: 'Close' }).click();
    await expect(field(page, 'Prompt')).toHaveValue('a red apple, sparkle');
    const generated = async (): Promise<string> => {
      const count = await drawn(page).count();
      await page.getByRole('button', { name: 'Generate' }).click();
      await expect(drawn(page)).toHaveCount(count + 1, { timeout: 400_000 });
      return pixelsOf(picture(page));
    };
    const withIt = await generated();
    await page.getByRole('button', { name: 'Add', exact: true }).click();
    await page.getByRole('tab', { name: 'Embeddings' }).click();
    await page.getByRole('button', { name: 'Remove sparkle.safetensors from this browser' }).click();
    await page.getByRole('button', { name: 'Close' }).click();
    // Now it is a word like any other.
    expect(await generated()).not.toBe(withIt);
  });

  await test.step('off the shelf and back', async () => {
    await page.getByRole('button', { name: 'Take Waves off the shelf' }).click();
    await expect(page.getByRole('listitem', { name: 'Waves' })).toBeHidden();
    const toast = page.getByRole('listitem').filter({ hasText: '“Waves” taken off the shelf' });
    await toast.getByRole('button', { name: 'Undo' }).click();
    await expect(page.getByRole('listitem', { name: 'Waves' })).toBeVisible();
  });

  await test.step('the prompt completes and weighs', async () => {
    await field(page, 'Prompt').fill('');
    await field(page, 'Prompt').pressSequentially('a cat <lora:wa');
    await page.getByRole('option', { name: 'Waves' }).waitFor();
    await page.keyboard.press('Tab');
    await expect(field(page, 'Prompt')).toHaveValue('a cat <lora:Waves:1>');
    await page.keyboard.press('Control+ArrowDown');
    await expect(field(page, 'Prompt')).toHaveValue('a cat <lora:Waves:0.95>');
    await field(page, 'Prompt').press('Home');
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('Control+ArrowUp');
    await expect(field(page, 'Prompt')).toHaveValue('a (cat:1.1) <lora:Waves:0.95>');
    await page.getByRole('button', { name: 'drawing' }).first().click();
    await expect(field(page, 'Prompt')).toHaveValue('a (cat:1.1) <lora:Waves:0.95>, drawing');
  });

  await test.step('from a Hub, found by a word', async () => {
    const root = join(folder, 'repository');
    await mkdir(join(root, 'someone', 'stars'), { recursive: true });
    await writeDemoLora(join(root, 'someone', 'stars', 'Stars.safetensors'), 23);
    const hub = await startHub({ root });
    await page.getByRole('tab', { name: 'Model' }).click();
    await page.getByRole('button', { name: /^Advanced: endpoint/ }).click();
    await field(page, 'Hub endpoint').fill(hub.url);
    await page.getByRole('tab', { name: 'Try' }).click();
    await page.getByRole('button', { name: 'Add', exact: true }).click();
    await page.getByRole('tab', { name: 'Hub' }).click();
    await expect(page.getByText(`Search contacts ${hub.url}`)).toBeVisible();
    expect(hub.requests).toHaveLength(0);
    await field(page, 'Hub id or search words').fill('stars');
    await page.getByRole('button', { name: 'Search' }).click();
    await page.getByRole('button', { name: 'Files of someone/stars' }).click();
    await page.getByRole('button', { name: 'Get Stars.safetensors' }).click();
    await expect(page.getByText('“Stars” is on the shelf', { exact: true })).toBeVisible();
    await page.getByRole('button', { name: 'Close' }).click();
    await expect(page.getByRole('listitem', { name: 'Stars' })).toBeVisible();
    await hub.close();
  });

  await test.step('a reload finds the shelf as it was', async () => {
    await page.reload();
    await expect(slider(page, 'Dots')).toHaveAttribute('aria-valuenow', '1.5');
    await expect(page.getByRole('switch', { name: 'Use Waves' })).not.toBeChecked();
    await expect(page.getByRole('listitem', { name: 'Stars' })).toBeVisible();
  });

  expect(complaints).toEqual([]);
});
