// Plan: what Loratory is for, from the first click to the file. The tiny model comes from a local Hub; six real image files
// are dropped in; six steps are trained while the chart, the strip and the story grid are on screen; the slider redraws; the
// exported file is parsed; a reload finds model and run again; and the command line, given the same files and seed on the same
// software GPU, trains the same adapter.
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test, type Page } from '@playwright/test';
import { swiftshader } from '../tools/setup/drivers.mjs';
import { startHub, type RunningHub } from '../tools/hub/server.ts';
import { writePictures } from './support/pictures.ts';
import { parseSafetensors, relativeDifference } from './support/safetensors.ts';

const model = 'fixtures/sd15-tiny/model';
const settings = { resolution: 64, steps: 6, seed: 42, rank: 4, alpha: 4, lr: 1e-4, batch: 2, flip: 0.5 };
const triggerWord = 'sks';

let hub: RunningHub;
let folder: string;

test.beforeAll(async () => {
  hub = await startHub({ root: model });
  folder = await mkdtemp(join(tmpdir(), 'loratory-e2e-'));
});

test.afterAll(async () => {
  await hub.close();
  await rm(folder, { recursive: true, force: true });
});

const room = (page: Page, name: string): Promise<void> => page.getByRole('tab', { name }).click();

/** The pixels of the picture that is shown, so that a redraw can be told from the picture before. */
async function shownPicture(page: Page): Promise<string> {
  return page.getByRole('img', { name: /^Generated picture/ }).evaluate((img) => {
    const picture = img as HTMLImageElement;
    const canvas = document.createElement('canvas');
    canvas.width = picture.naturalWidth;
    canvas.height = picture.naturalHeight;
    canvas.getContext('2d')?.drawImage(picture, 0, 0);
    return canvas.toDataURL();
  });
}

test('images in, a trained LoRA out', async ({ page }) => {
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  const foreign: string[] = [];
  page.on('request', (request) => {
    const { origin } = new URL(request.url());
    const allowed = ['http://localhost', new URL(hub.url).origin, new URL(hub.cdnUrl).origin];
    if (!request.url().startsWith('blob:') && !allowed.some((start) => origin.startsWith(start)))
      foreign.push(request.url());
  });
  await page.goto('/');

  await test.step('load the model from the Hub', async () => {
    await page.getByRole('textbox', { name: 'Hub id', exact: true }).fill('local/model');
    await page.getByRole('button', { name: /^Advanced: endpoint/ }).click();
    await page.getByRole('textbox', { name: 'Hub endpoint', exact: true }).fill(hub.url);
    await page.getByRole('button', { name: 'Load', exact: true }).click();
    await expect(page.getByRole('region', { name: 'Stored models' })).toContainText('local/model');
  });

  await test.step('drop six images with captions', async () => {
    await room(page, 'Images');
    await page.getByTestId('image-input').setInputFiles(await writePictures(join(folder, 'pictures'), 6));
    await expect(page.getByRole('list', { name: 'Training images' }).getByRole('listitem')).toHaveCount(6);
    await expect(page.getByLabel('Caption of picture-3.png', { exact: true })).toHaveValue(
      'a round thing and a box, number 3',
    );
    await page.getByRole('textbox', { name: 'Trigger word', exact: true }).fill(triggerWord);
  });

  await test.step('train six steps and watch', async () => {
    await room(page, 'Train');
    await page.getByRole('textbox', { name: 'Name', exact: true }).fill('journey');
    await page.getByRole('textbox', { name: 'Steps', exact: true }).fill(String(settings.steps));
    await page.getByRole('textbox', { name: 'Resolution', exact: true }).fill(String(settings.resolution));
    await page.getByRole('textbox', { name: 'Sample every', exact: true }).fill(String(settings.steps / 2));
    for (const index of [3, 2]) await page.getByRole('button', { name: `Remove sample prompt ${index}` }).click();
    await page.getByRole('button', { name: /^Samples/ }).click();
    await page.getByRole('textbox', { name: 'Sample steps', exact: true }).fill('3');
    await page.getByRole('button', { name: 'Start training' }).click();
    const strip = page.getByTestId('strip');
    await expect(strip).toHaveAttribute('data-step', /^[1-9]/, { timeout: 400_000 });
    await expect(strip.getByRole('img', { name: /, clean$/ })).toHaveCount(settings.batch);
    await expect(strip.getByRole('img', { name: /under noise, timestep \d+$/ })).toHaveCount(settings.batch);
    await expect(strip.getByRole('img', { name: /as the model guesses it$/ })).toHaveCount(settings.batch);
    await expect(page.getByTestId('loss-chart')).toBeVisible();

    await page.getByRole('button', { name: 'Pause' }).click();
    await expect(page.getByTestId('train-phase')).toHaveText('Paused');
    await page.getByRole('button', { name: 'Resume' }).click();

    await expect(page.getByTestId('train-phase')).toHaveText('Finished', { timeout: 400_000 });
    // Before the first step, after half of them, after all.
    await expect(page.getByTestId('story-grid')).toHaveAttribute('data-rows', '3');
    await expect(page.getByTestId('story-grid').getByRole('button', { name: /^Enlarge: / })).toHaveCount(3);
  });

  await test.step('draw, and redraw with the slider', async () => {
    await room(page, 'Try');
    await page.getByRole('button', { name: 'Add', exact: true }).click();
    await page.getByRole('button', { name: 'Put journey on the shelf' }).click();
    await page.getByRole('button', { name: 'Close' }).click();
    await page.getByRole('textbox', { name: 'Prompt', exact: true }).fill('sks, a round thing');
    await page.getByRole('textbox', { name: 'Width', exact: true }).fill('64');
    await page.getByRole('textbox', { name: 'Height', exact: true }).fill('64');
    await page.getByRole('textbox', { name: 'Steps', exact: true }).fill('4');
    await page.getByRole('button', { name: 'Generate' }).click();
    await expect(page.getByRole('img', { name: /^Generated picture/ })).toBeVisible({ timeout: 400_000 });
    await expect(page.getByText('journey at 1.00')).toBeVisible();
    const before = await shownPicture(page);
    const requests = hub.requests.length;
    await page.getByTestId('lora-slider').focus();
    await page.keyboard.press('End');
    await expect(page.getByText('journey at 2.00')).toBeVisible({ timeout: 400_000 });
    expect(await shownPicture(page)).not.toBe(before);
    expect(hub.requests.length).toBe(requests);
  });

  const exported = await test.step('export', async () => {
    await room(page, 'Export');
    await page.getByRole('button', { name: 'Export', exact: true }).click();
    const download = page.waitForEvent('download');
    await page.getByRole('dialog').getByRole('button', { name: 'Save file' }).click();
    const file = await download;
    expect(file.suggestedFilename()).toBe('journey.safetensors');
    await file.saveAs(join(folder, 'studio.safetensors'));
    return parseSafetensors(join(folder, 'studio.safetensors'));
  });

  await test.step('the file is what kohya-form loaders expect', async () => {
    // 16 transformers of SD1.5's layout, two attentions each, four projections each, three tensors each.
    expect(exported.tensors.size).toBe(16 * 2 * 4 * 3);
    const name = 'lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q';
    expect(exported.tensors.get(`${name}.lora_down.weight`)?.shape).toEqual([settings.rank, 32]);
    expect(exported.tensors.get(`${name}.lora_up.weight`)?.shape).toEqual([32, settings.rank]);
    expect(Array.from(exported.tensors.get(`${name}.alpha`)?.values ?? [])).toEqual([settings.alpha]);
    expect(exported.metadata).toMatchObject({
      ss_network_module: 'networks.lora',
      ss_network_dim: '4',
      ss_network_alpha: '4.0',
      ss_steps: String(settings.steps),
      ss_seed: '42',
      ss_base_model_version: 'sd_v1',
      'modelspec.architecture': 'stable-diffusion-v1/lora',
      'modelspec.title': 'journey',
      'modelspec.trigger_phrase': 'sks',
    });
    const learnt = exported.tensors.get(`${name}.lora_up.weight`)?.values ?? new Float32Array();
    expect(learnt.some((value) => value !== 0)).toBe(true);
  });

  await test.step('a reload finds the model and the run', async () => {
    const requests = hub.requests.length;
    await page.reload();
    await room(page, 'Model');
    await expect(page.getByRole('region', { name: 'Stored models' })).toContainText('local/model');
    await room(page, 'Train');
    await expect(page.getByTestId('story-grid')).toHaveAttribute('data-rows', '3');
    await expect(page.getByTestId('loss-chart')).toBeVisible();
    await room(page, 'Export');
    await expect(page.getByRole('button', { name: 'Export', exact: true })).toBeEnabled();
    expect(hub.requests.length).toBe(requests);
  });

  expect(complaints).toEqual([]);
  expect(foreign).toEqual([]);

  await test.step('the command line trains the same adapter', async () => {
    const flags = ['--resolution', '--steps', '--seed', '--rank', '--alpha', '--lr', '--batch', '--flip'];
    const values = [
      settings.resolution,
      settings.steps,
      settings.seed,
      settings.rank,
      settings.alpha,
      settings.lr,
      settings.batch,
      settings.flip,
    ];
    const out = join(folder, 'command-line.safetensors');
    await promisify(execFile)(
      process.execPath,
      [
        'tools/run.mjs',
        'loratory',
        'train',
        '--model',
        model,
        '--images',
        join(folder, 'pictures'),
        '--out',
        out,
        '--trigger',
        triggerWord,
        ...flags.flatMap((flag, i) => [flag, String(values[i])]),
      ],
      { env: { ...process.env, VK_ICD_FILENAMES: swiftshader.icd, VK_DRIVER_FILES: swiftshader.icd } },
    );
    const twin = await parseSafetensors(out);
    expect(relativeDifference(exported, twin)).toBeLessThan(1e-3);
  });
});
