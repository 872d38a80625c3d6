// Plan: settings of a training from the first click to another machine. A preset, settings changed with what is wrong said beside them,
// the rate's curve, a setting found by a word; the person's own preset; kohya's TOML taken over with what was not understood;
// prompts pasted in kohya's syntax; the recipe's link opened in a fresh page, where the images are and where they are not; and
// a job whose zip holds what other trainers need.
import { readFile } from 'node:fs/promises';
import { expect, test, type Page } from '@playwright/test';
import { unzipSync } from 'fflate';

const field = (page: Page, name: string) => page.getByRole('textbox', { name, exact: true });
const settings = (page: Page) => page.getByRole('complementary', { name: 'Training settings' });
const group = (page: Page, name: string) => settings(page).getByRole('button', { name: new RegExp(`^${name}`) });

const config = `
pretrained_model_name_or_path = "/models/v1-5.safetensors"
output_name = "from kohya"
network_dim = 12
network_alpha = 6
learning_rate = 2e-4
lr_scheduler = "cosine"
max_train_steps = 777
xformers = true
zorble = 3
`;

test('settings, presets, configs and recipes', async ({ page, context }) => {
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  await page.goto('/');
  await page.getByRole('region', { name: 'Demo model' }).getByRole('button', { name: 'Try it now' }).click();
  await expect(page.getByRole('button', { name: 'Start training' })).toBeEnabled();
  const inUse = page.getByTestId('preset-in-use');

  await test.step('a preset, and settings changed from it', async () => {
    await settings(page)
      .getByRole('button', { name: /^Character/ })
      .click();
    await expect(field(page, 'Steps')).toHaveValue('200');
    await expect(inUse).toHaveText('Character for the demo model');
    await group(page, 'Optimizer and schedule').click();
    await field(page, 'Beta 1').fill('2');
    await expect(settings(page)).toContainText('Beta 1 must be at least 0 and below 1.');
    await expect(page.getByRole('button', { name: 'Start training' })).toBeDisabled();
    await page.getByRole('button', { name: /^Beta 1: Back to 0\.9/ }).click();
    await expect(page.getByRole('button', { name: 'Start training' })).toBeEnabled();
    await expect(field(page, 'Cycles')).toBeDisabled();
    await expect(settings(page)).toContainText('Cosines only.');
  });

  await test.step('the rate as a curve, before the start', async () => {
    const chart = page.getByTestId('rate-chart');
    await expect(chart).toHaveAttribute('aria-label', 'The learning rate stays at 1e−3 for 200 steps.');
    await page.getByRole('combobox', { name: 'Schedule', exact: true }).selectOption('cosine');
    await field(page, 'Warm-up steps').fill('20');
    await expect(chart).toHaveAttribute(
      'aria-label',
      /begins at 0, is 1e−3 at most, and ends at \S+e−\d after 200 steps/,
    );
    await field(page, 'Warm-up steps').fill('200');
    await expect(settings(page)).toContainText('but the run has 200 steps');
    await field(page, 'Warm-up steps').fill('20');
    await expect(inUse).toHaveText('Character for the demo model, 2 changed');
  });

  await test.step('a setting found by a word', async () => {
    await page.getByRole('searchbox', { name: 'Find a setting' }).fill('min-snr');
    await field(page, 'Min-SNR gamma').fill('5');
    await page.getByRole('button', { name: 'Clear the search' }).click();
    await expect(group(page, 'Loss and noise')).toContainText('min-SNR 5');
  });

  await test.step('a preset of one’s own, deleted and brought back', async () => {
    await page.getByRole('button', { name: 'More presets' }).click();
    await page.getByRole('menuitem', { name: 'Save these settings as a preset…' }).click();
    await page.getByRole('textbox', { name: 'Name of the preset' }).fill('mine');
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await expect(inUse).toHaveText('mine');
    await settings(page)
      .getByRole('button', { name: /^Style/ })
      .click();
    await expect(inUse).toHaveText('Style for the demo model');
    await page.getByRole('button', { name: 'More presets' }).click();
    await page.getByRole('menuitem', { name: /^mine/ }).click();
    await expect(group(page, 'Loss and noise')).toContainText('min-SNR 5');
    await page.getByRole('button', { name: 'Delete preset mine' }).click();
    await expect(inUse).toContainText('Style for the demo model');
    await page.getByRole('button', { name: 'Undo' }).last().click();
    await expect(inUse).toHaveText('mine');
  });

  await test.step('prompts pasted in kohya’s syntax', async () => {
    const first = field(page, 'Sample prompt 1');
    await page.evaluate(() => navigator.clipboard.writeText('a red cat --n blurry --d 7 --s 9\na blue dog --l 3'));
    await first.click();
    await page.keyboard.press('ControlOrMeta+V');
    await expect(first).toHaveValue('a red cat');
    await expect(field(page, 'Seed of sample prompt 1')).toHaveValue('7');
    await expect(settings(page)).toContainText('--n blurry --s 9');
    await expect(field(page, 'Sample prompt 2')).toHaveValue('a blue dog');
  });

  await test.step('a kohya config', async () => {
    await page.getByRole('button', { name: 'Import and share settings' }).click();
    await page.getByRole('menuitem', { name: /^Import settings/ }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByTestId('settings-input').setInputFiles({
      name: 'config.toml',
      mimeType: 'application/toml',
      buffer: Buffer.from(config),
    });
    await expect(dialog).toContainText('7 arguments of from kohya are understood.');
    await expect(dialog).toContainText('zorble = 3');
    await expect(dialog).toContainText('No such argument is known.');
    await dialog.getByRole('button', { name: 'Take over' }).click();
    await expect(field(page, 'Steps')).toHaveValue('777');
    await expect(field(page, 'Name')).toHaveValue('from kohya');
    await expect(group(page, 'Adapter')).toContainText('LoRA 12/6');
  });

  const link = await test.step('the recipe as a link', async () => {
    await page.getByRole('button', { name: 'Import and share settings' }).click();
    await page.getByRole('menuitem', { name: /^Copy link to recipe/ }).click();
    await expect(page.getByText('Link copied', { exact: true })).toBeVisible();
    return page.evaluate(() => navigator.clipboard.readText());
  });
  expect(link).toMatch(/#recipe=[\w-]+$/);

  await test.step('opened where the images are', async () => {
    await settings(page)
      .getByRole('button', { name: /^Style/ })
      .click();
    await page.goto('/#train');
    await page.goto(link);
    const dialog = page.getByRole('dialog');
    await expect(dialog).toContainText('from kohya: LoRA of rank 12, 777 steps');
    await expect(dialog).toContainText(/All \d+ images are here\./);
    await dialog.getByRole('button', { name: 'Take over' }).click();
    await expect(field(page, 'Steps')).toHaveValue('777');
    await expect(settings(page)).toContainText(/The \d+ images of the recipe, in its order\./);
    await expect(page.getByRole('button', { name: 'Start training' })).toBeEnabled();
    expect(new URL(page.url()).hash).toBe('#train');
  });

  await test.step('opened in a fresh browser, which has none of the images', async () => {
    const other = await context.browser()?.newContext();
    const fresh = await other?.newPage();
    if (other === undefined || fresh === undefined) throw new Error('no second browser context');
    await fresh.goto(new URL(link).href);
    const dialog = fresh.getByRole('dialog');
    await expect(dialog).toContainText(/24 of 24 images are not here: pixel-art-/);
    await dialog.getByRole('button', { name: 'Take over' }).click();
    await expect(field(fresh, 'Steps')).toHaveValue('777');
    await fresh.goto(`${new URL(link).origin}/#recipe=AAAA`);
    await expect(fresh.getByRole('dialog')).toContainText('The link is damaged');
    await other.close();
  });

  await test.step('a job for another machine', async () => {
    await page.getByRole('button', { name: 'Import and share settings' }).click();
    const download = page.waitForEvent('download');
    await page.getByRole('menuitem', { name: /^Export job/ }).click();
    const file = await download;
    expect(file.suggestedFilename()).toBe('from kohya-job.zip');
    const files = unzipSync(await readFile(await file.path()));
    const names = Object.keys(files);
    for (const name of [
      'README.md',
      'config.toml',
      'dataset.toml',
      'recipe.json',
      'train_kohya.sh',
      'train_diffusers.sh',
    ]) {
      expect(names).toContain(`from kohya-job/${name}`);
    }
    const metadata = new TextDecoder().decode(files['from kohya-job/dataset/metadata.jsonl']).trim().split('\n');
    expect(metadata).toHaveLength(24);
    expect(names.filter((name) => name.endsWith('.png'))).toHaveLength(24);
    expect(names.filter((name) => /dataset\/.*\.txt$/.test(name))).toHaveLength(24);
  });

  expect(complaints).toEqual([]);
});
