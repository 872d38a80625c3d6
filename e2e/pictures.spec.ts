// Plan: pictures with the demo model. A picture saved as PNG and dropped on the prompt after everything was changed brings its settings
// back and draws the same pixels; A1111's text pasted does likewise and says what has no place here; a picture that reuses
// the UNet's depth says so and is compared with the one in full; a part of a picture is painted over
// and drawn again; two pictures are wiped by the keyboard; the gallery outlives a reload and deletes with an undo; two at once with hires fix;
// the queue in another order; an X/Y plot fills its grid, is kept, and is saved as one picture.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, type Page } from '@playwright/test';
import { writeDemoLora } from './support/demoLora.ts';
import { pixelsOf, sizeOf } from './support/pixels.ts';

let folder: string;

test.beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'loratory-pictures-'));
  await writeDemoLora(join(folder, 'Dots.safetensors'), 3);
});

test.afterAll(() => rm(folder, { recursive: true, force: true }));

const field = (page: Page, name: string) => page.getByRole('textbox', { name, exact: true });
const picture = (page: Page) => page.getByRole('img', { name: /^Generated picture/ });

test('settings travel in pictures; gallery, comparison and plot', async ({ page, context }) => {
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  await page.goto('/#try');
  const file = join(folder, 'picture.png');

  const original = await test.step('draw with a LoRA, Karras and a seed of its own; save', async () => {
    await page.getByRole('button', { name: 'Add', exact: true }).click();
    await page.getByRole('tab', { name: 'Files' }).click();
    await page.getByTestId('lora-input').setInputFiles(join(folder, 'Dots.safetensors'));
    await expect(page.getByRole('button', { name: 'Dots is on the shelf' })).toBeVisible();
    await page.getByRole('button', { name: 'Close' }).click();
    await page.getByRole('textbox', { name: 'Weight of Dots, as a number' }).fill('0.65');
    await page.keyboard.press('Enter');
    await field(page, 'Prompt').fill('a (red:1.2) apple');
    await field(page, 'Negative prompt').fill('leaf');
    await field(page, 'Steps').fill('3');
    await field(page, 'Guidance scale').fill('5.5');
    await field(page, 'Seed').fill('1234');
    await page.getByLabel('Scheduler', { exact: true }).selectOption({ label: 'DPM++ 2M Karras' });
    await page.getByRole('button', { name: 'Generate' }).click();
    await expect(page.getByText(/^Dots at 0\.65 · seed 1234 · 3 steps · DPM\+\+ 2M Karras/)).toBeVisible({
      timeout: 400_000,
    });
    const download = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Save PNG' }).click();
    const saved = await download;
    expect(saved.suggestedFilename()).toBe('a-red-1-2-apple-1234.png');
    await saved.saveAs(file);
    const webp = page.waitForEvent('download');
    await page.getByRole('button', { name: 'More actions' }).click();
    await page.getByRole('menuitem', { name: /^Save WebP/ }).click();
    await (await webp).saveAs(join(folder, 'picture.webp'));
    await page.getByRole('button', { name: 'Copy the picture' }).click();
    await expect(page.getByText('Picture copied', { exact: true })).toBeVisible();
    const types = await page.evaluate(async () => (await navigator.clipboard.read()).flatMap((item) => item.types));
    expect(types).toEqual(['image/png']);
    return pixelsOf(picture(page));
  });

  await test.step('everything changed, then the PNG dropped back: the same pixels', async () => {
    await field(page, 'Prompt').fill('something else');
    await field(page, 'Negative prompt').fill('');
    await field(page, 'Steps').fill('2');
    await field(page, 'Seed').fill('7');
    await page.getByLabel('Scheduler', { exact: true }).selectOption({ label: 'Euler' });
    await page.getByRole('button', { name: 'Take Dots off the shelf' }).click();
    await page.getByTestId('settings-input').setInputFiles(join(folder, 'picture.webp'));
    await expect(page.getByTestId('restored')).toContainText('All settings restored from picture.webp');
    await expect(field(page, 'Seed')).toHaveValue('1234');
    await field(page, 'Seed').fill('7');
    await page.getByTestId('settings-input').setInputFiles(file);
    await expect(page.getByTestId('restored')).toContainText('All settings restored from picture.png');
    await expect(field(page, 'Prompt')).toHaveValue('a (red:1.2) apple');
    await expect(field(page, 'Negative prompt')).toHaveValue('leaf');
    await expect(field(page, 'Guidance scale')).toHaveValue('5.5');
    await expect(field(page, 'Seed')).toHaveValue('1234');
    await expect(page.getByRole('textbox', { name: 'Weight of Dots, as a number' })).toHaveValue('0.65');
    await page.getByRole('button', { name: 'Generate' }).click();
    await expect(page.getByRole('list', { name: 'Latest pictures' }).getByRole('listitem')).toHaveCount(2, {
      timeout: 400_000,
    });
    expect(await pixelsOf(picture(page))).toBe(original);
  });

  await test.step("A1111's text pasted, with what has no place here", async () => {
    await page.evaluate(() => {
      const text =
        'a blue fish <lora:Unknown:0.8>\nNegative prompt: net\nSteps: 2, Sampler: Euler a, Schedule type: Automatic, ' +
        'CFG scale: 6, Seed: 99, Size: 64x64, Skip Early CFG: 0.1, ADetailer model: face_yolov8n.pt, Version: v1.10.1';
      const data = new DataTransfer();
      data.setData('text/plain', text);
      const area = document.querySelector('textarea');
      area?.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }));
    });
    const note = page.getByTestId('restored');
    await expect(note).toContainText('The LoRA “Unknown” (at 0.8) is not in this browser.');
    await expect(note).toContainText('ADetailer model: face_yolov8n.pt has no place here.');
    await expect(field(page, 'Prompt')).toHaveValue('a blue fish ');
    await expect(field(page, 'Seed')).toHaveValue('99');
    await expect(page.getByLabel('Scheduler', { exact: true })).toHaveValue('euler_a');
    await page.getByRole('button', { name: 'Faster', exact: true }).click();
    await expect(field(page, 'Guidance from')).toHaveValue('0.1');
    await field(page, 'Guidance from').fill('0');
    await field(page, 'Whole UNet every').fill('2');
    await expect(page.getByTestId('work')).toContainText('59 % of its work at 2 steps: 1.7 times fewer');
    await page.getByRole('button', { name: 'Generate' }).click();
    await expect(page.getByText(/^plain model · seed 99 · 2 steps · Euler a · guidance 6 · reuse 2 /)).toBeVisible({
      timeout: 400_000,
    });
  });

  await test.step('what a shortcut did to a picture: its settings say so, and it is compared with the one in full', async () => {
    await page.getByRole('button', { name: 'More actions' }).click();
    await page.getByRole('menuitem', { name: 'Copy settings as text' }).click();
    await expect(page.getByText('Settings copied as text', { exact: true })).toBeVisible();
    expect(await page.evaluate(() => navigator.clipboard.readText())).toContain('Reuse interval: 2, ');
    await page.getByRole('button', { name: 'More actions' }).click();
    await page.getByRole('menuitem', { name: /^Compare with full quality/ }).click();
    await expect(page.getByTestId('likeness')).toHaveText(/^PSNR \d+\.\d dB .*SSIM 0\.\d{3}/, { timeout: 400_000 });
    await expect(page.getByRole('img', { name: 'Second picture: reuse 2' })).toBeVisible();
    await page.getByRole('button', { name: 'Compare', exact: true }).click();
    await field(page, 'Whole UNet every').fill('1');
  });

  await test.step('a part painted over by the keyboard and drawn again; the rest is kept', async () => {
    const before = (await pixelsOf(picture(page))).split(',');
    await page.getByRole('button', { name: 'From a picture', exact: true }).click();
    await page.getByRole('button', { name: 'The one that is shown' }).click();
    await page.getByRole('button', { name: 'Paint a mask' }).click();
    await page.getByTestId('mask-canvas').press(']');
    await page.keyboard.press('Space');
    await page.getByRole('button', { name: 'Use this mask' }).click();
    await field(page, 'Mask blur').fill('0');
    await field(page, 'Seed').fill('5');
    await page.getByRole('button', { name: 'Generate' }).click();
    await expect(page.getByText(/^plain model · seed 5 /)).toBeVisible({ timeout: 400_000 });
    const after = (await pixelsOf(picture(page))).split(',');
    const at = (x: number, y: number): number => 4 * (64 * y + x);
    const same = (x: number, y: number): boolean =>
      before.slice(at(x, y), at(x, y) + 3).join() === after.slice(at(x, y), at(x, y) + 3).join();
    expect([same(0, 0), same(63, 0), same(0, 63), same(63, 63)]).toEqual([true, true, true, true]);
    const changed = [...before.keys()].filter((i) => before[i] !== after[i]).length;
    expect(changed).toBeGreaterThan(20);
    await page.getByRole('button', { name: 'No picture' }).click();
    await field(page, 'Seed').fill('99');
  });

  await test.step('two pictures wiped by the keyboard', async () => {
    await page.getByRole('button', { name: 'Compare', exact: true }).click();
    const bar = page.getByRole('slider', { name: 'Where the first picture ends' });
    await bar.focus();
    await page.keyboard.press('ArrowRight');
    await expect(bar).toHaveAttribute('aria-valuenow', '51');
    await expect(page.getByRole('img', { name: /^First picture: / })).toBeVisible();
    await page.getByRole('button', { name: 'Compare', exact: true }).click();
  });

  await test.step('the gallery outlives a reload; deleting is undone', async () => {
    await page.reload();
    await page.getByRole('tab', { name: /^Gallery/ }).click();
    const cards = page.getByRole('list', { name: 'Gallery' }).getByRole('listitem');
    await expect(cards).toHaveCount(5);
    // More than the window holds is scrolled, not squeezed.
    await page.setViewportSize({ width: 800, height: 400 });
    const box = await cards.first().boundingBox();
    expect(box?.height).toBeGreaterThan(150);
    await page.setViewportSize({ width: 1440, height: 900 });
    await page.getByRole('checkbox').first().check();
    await page.getByRole('button', { name: 'Delete 1' }).click();
    await expect(cards).toHaveCount(4);
    await page.getByRole('button', { name: 'Undo' }).click();
    await expect(cards).toHaveCount(5);
    await page.getByRole('searchbox', { name: 'Search prompts and settings' }).fill('red');
    await expect(cards).toHaveCount(2);
  });

  await test.step('two at once with hires fix; what waits is put in another order', async () => {
    await page.getByRole('tab', { name: 'Picture', exact: true }).click();
    await page.getByRole('button', { name: /^Several at a time/ }).click();
    await field(page, 'At once').fill('2');
    await page.getByRole('button', { name: /^Hires fix/ }).click();
    await page.getByRole('switch', { name: 'Draw small, enlarge, refine' }).click();
    await field(page, 'Enlarge by').fill('1.25');
    // Long enough for what is done meanwhile.
    await field(page, 'Steps').fill('4');
    await page.getByRole('button', { name: 'Generate 2' }).click();
    await page.getByRole('switch', { name: 'Draw small, enlarge, refine' }).click();
    await field(page, 'At once').fill('1');
    for (const prompt of ['a blue cup', 'a blue hat']) {
      await field(page, 'Prompt').fill(prompt);
      await page.getByRole('button', { name: 'Queue', exact: true }).click();
    }
    const waiting = page.getByRole('region', { name: 'Waiting' }).getByRole('listitem');
    await expect(waiting).toHaveText(['a blue cup', 'a blue hat']);
    await page.getByRole('button', { name: 'Draw sooner: a blue hat' }).click();
    await expect(waiting).toHaveText(['a blue hat', 'a blue cup']);
    for (const prompt of ['a blue hat', 'a blue cup'])
      await page.getByRole('button', { name: `Take out of the queue: ${prompt}` }).click();
    await expect(waiting).toHaveCount(0);
    await expect(page.getByText(/^plain model · seed 100 · .* · 80 × 80 · /)).toBeVisible({ timeout: 400_000 });
    await expect(page.getByRole('list', { name: 'Latest pictures' }).getByRole('listitem')).toHaveCount(7);
    await field(page, 'Prompt').fill('a blue fish');
  });

  await test.step('an X/Y plot, as one picture', async () => {
    await page.getByRole('tab', { name: 'X/Y/Z plot' }).click();
    await page.getByLabel('X axis').selectOption({ label: 'Steps' });
    await field(page, 'X values').fill('1, 2');
    await page.getByLabel('Y axis').selectOption({ label: 'Prompt: search and replace' });
    await field(page, 'Y values').fill('blue, green');
    await expect(page.getByText('4 pictures; everything else as on the left')).toBeVisible();
    await page.getByRole('button', { name: 'Draw the plot' }).click();
    await expect(page.getByTestId('plot-done')).toContainText('4 of 4 pictures drawn', { timeout: 400_000 });
    const pixels = await Promise.all(
      (await page.getByTestId('plot-grid').locator('img').all()).map((image) => pixelsOf(image)),
    );
    expect(new Set(pixels).size).toBe(4);
    const download = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Save as one image' }).click();
    const saved = join(folder, 'plot.png');
    await (await download).saveAs(saved);
    const { width, height } = await sizeOf(saved);
    // Two columns and two rows of pictures, three times enlarged, with labels beside and above them.
    expect(width).toBeGreaterThan(2 * 192 + 40);
    expect(height).toBeGreaterThan(2 * 192 + 30);
    // It is kept as well.
    await page.getByRole('tab', { name: /^Gallery/ }).click();
    await page.getByRole('button', { name: /X\/Y\/Z plot: Steps × Prompt/ }).click();
    await expect(page.getByText(`X/Y/Z plot: Steps × Prompt: search and replace · ${width} × ${height}`)).toBeVisible();
  });

  expect(complaints).toEqual([]);
});
