// Plan: LoRA files as files, in the Export room. A file dropped in is laid open: ranks, blocks, who takes it, the raw header; a broken one
// says what is wrong with it. It is resized with the error shown, exported in another form with who will take it, merged with another
// one, and baked into the demo model; every file that is saved holds what it should.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, type Page } from '@playwright/test';
import { writeDemoLora } from './support/demoLora.ts';
import { parseSafetensors } from './support/safetensors.ts';

const loras = 'fixtures/sd15-tiny/lora';

let folder: string;

test.beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'loratory-files-'));
  for (const [name, seed] of [
    ['Dots', 3],
    ['Waves', 11],
  ] as const)
    await writeDemoLora(join(folder, `${name}.safetensors`), seed);
});

test.afterAll(() => rm(folder, { recursive: true, force: true }));

const dialog = (page: Page) => page.getByRole('dialog');

async function openTool(page: Page, name: RegExp): Promise<void> {
  await page.getByRole('button', { name: 'Tools' }).click();
  await page.getByRole('menuitem', { name }).click();
}

async function saved(page: Page, button: string): Promise<string> {
  const download = page.waitForEvent('download');
  await dialog(page).getByRole('button', { name: button }).click();
  const file = await download;
  const path = join(folder, file.suggestedFilename());
  await file.saveAs(path);
  return path;
}

test('a LoRA file is looked into, resized, exported, merged and baked', async ({ page }) => {
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  await page.goto('/#export');

  await test.step('a broken file says what is wrong', async () => {
    await page.getByTestId('inspect-input').setInputFiles(`${loras}/bad/truncated.safetensors`);
    await expect(page.getByRole('alert')).toContainText('it ends early');
    await page.getByRole('button', { name: 'Close' }).click();
  });

  await test.step('a good one is laid open', async () => {
    await page.getByTestId('inspect-input').setInputFiles(`${loras}/kohya/unet_te.safetensors`);
    const report = page.getByTestId('lora-report');
    await expect(report.getByText('128 UNet, 12 text')).toBeVisible();
    await expect(report.getByRole('rowheader', { name: 'text encoder' })).toBeVisible();
    await expect(report.getByRole('list', { name: 'Which tools take this file' })).toContainText('ComfyUI');
    await report.getByRole('button', { name: 'The tensors' }).click();
    await expect(
      report.getByText('lora_te_text_model_encoder_layers_0_self_attn_q_proj.lora_down.weight'),
    ).toBeVisible();
  });

  await test.step('resized to rank 1, with what that costs', async () => {
    await openTool(page, /^Resize/);
    await dialog(page).getByRole('textbox', { name: 'New rank' }).fill('1');
    await dialog(page).getByRole('button', { name: 'Full (fp32)' }).click();
    await dialog(page).getByRole('button', { name: 'Resize' }).click();
    await expect(page.getByTestId('combine-error')).toContainText(/\d+\.\d % is lost of what the LoRA changes/);
    const path = await saved(page, 'Save file');
    const { metadata, tensors } = await parseSafetensors(path);
    expect(metadata['ss_network_dim']).toBe('1');
    const downs = [...tensors].filter(([name]) => name.endsWith('.lora_down.weight'));
    expect(downs).toHaveLength(140);
    expect(new Set(downs.map(([, { shape }]) => shape[0]))).toEqual(new Set([1]));
    await dialog(page).getByRole('button', { name: 'Close' }).click();
  });

  await test.step("exported in diffusers' form: who takes it, and what is written about it", async () => {
    await page.getByRole('button', { name: 'Export', exact: true }).click();
    const tools = dialog(page).getByRole('list', { name: 'Which tools take this file' });
    await expect(tools.getByRole('listitem').filter({ hasText: 'A1111' })).toContainText('takes it');
    await dialog(page).getByRole('button', { name: 'diffusers', exact: true }).click();
    await expect(tools.getByRole('listitem').filter({ hasText: 'A1111' })).toContainText("it reads kohya's form");
    await expect(tools.getByRole('listitem').filter({ hasText: 'diffusers' }).last()).toContainText('takes it');
    await dialog(page).getByRole('textbox', { name: 'Title' }).fill('Round things');
    await dialog(page).getByRole('textbox', { name: 'Author' }).fill('Ada');
    const path = await saved(page, 'Save file');
    expect(path.endsWith('Round things.safetensors')).toBe(true);
    const { metadata, tensors } = await parseSafetensors(path);
    expect(metadata).toMatchObject({ 'modelspec.title': 'Round things', 'modelspec.author': 'Ada' });
    expect([...tensors.keys()].some((name) => name.startsWith('unet.'))).toBe(true);
  });

  await test.step('two in one', async () => {
    const files = ['Dots.safetensors', 'Waves.safetensors'].map((name) => join(folder, name));
    await page.getByTestId('inspect-input').setInputFiles(files);
    await expect(page.getByRole('heading', { name: 'Dots' })).toBeVisible();
    await openTool(page, /^Merge/);
    await dialog(page).getByRole('checkbox', { name: 'Take Waves' }).check();
    await dialog(page).getByRole('textbox', { name: 'Weight of Waves, as a number' }).fill('0.5');
    await page.keyboard.press('Enter');
    await dialog(page).getByRole('textbox', { name: 'Title' }).fill('Both');
    await dialog(page).getByRole('button', { name: 'Full (fp32)' }).click();
    await dialog(page).getByRole('button', { name: 'Merge 2' }).click();
    await expect(page.getByTestId('combine-error')).toContainText('Nothing is lost.');
    const { metadata } = await parseSafetensors(await saved(page, 'Save file'));
    expect(metadata).toMatchObject({ ss_network_dim: '4', 'modelspec.merged_from': 'Dots (1), Waves (0.5)' });
    await dialog(page).getByRole('button', { name: 'Close' }).click();
  });

  await test.step('baked into the demo model, as a folder', async () => {
    await openTool(page, /^Bake/);
    await dialog(page).getByRole('button', { name: 'diffusers folder' }).click();
    const download = page.waitForEvent('download', { timeout: 400_000 });
    await dialog(page).getByRole('button', { name: 'Bake and save' }).click();
    const file = await download;
    expect(file.suggestedFilename()).toBe('Dots model.zip');
    const path = join(folder, 'model.zip');
    await file.saveAs(path);
    const bytes = await readFile(path);
    expect(bytes.toString('latin1', 0, 2)).toBe('PK');
    const names = bytes.toString('latin1');
    for (const part of ['unet/diffusion_pytorch_model.safetensors', 'vae/config.json', 'model_index.json'])
      expect(names.includes(part), part).toBe(true);
  });

  await test.step('and as one file, in the names that A1111 reads', async () => {
    await dialog(page).getByRole('button', { name: 'One file' }).click();
    const download = page.waitForEvent('download', { timeout: 400_000 });
    await dialog(page).getByRole('button', { name: 'Bake and save' }).click();
    const file = await download;
    expect(file.suggestedFilename()).toBe('Dots model.safetensors');
    const path = join(folder, 'model.safetensors');
    await file.saveAs(path);
    const bytes = await readFile(path);
    const length = Number(bytes.readBigUInt64LE(0));
    const header = JSON.parse(bytes.toString('utf8', 8, 8 + length)) as Record<
      string,
      { data_offsets: [number, number] }
    >;
    for (const name of [
      'model.diffusion_model.input_blocks.0.0.weight',
      'first_stage_model.decoder.conv_in.weight',
      'cond_stage_model.transformer.text_model.embeddings.token_embedding.weight',
    ])
      expect(Object.keys(header), name).toContain(name);
    const ends = Object.values(header).flatMap(({ data_offsets: offsets }) => (offsets ? [offsets[1]] : []));
    expect(bytes.length).toBe(8 + length + Math.max(...ends));
  });

  expect(complaints).toEqual([]);
});
