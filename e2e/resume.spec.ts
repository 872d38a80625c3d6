// Plan: a run that will not be lost. It trains on the demo model with a validation image; a second tab looks on and cannot touch it; the page
// is closed in the middle; the other tab offers to resume, and is closed too; a third resumes again and the run ends with one
// chart and one grid; a branch goes on from a kept step at another rate; and a picture is drawn while a run trains.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, type Page } from '@playwright/test';
import { writePictures } from './support/pictures.ts';

const steps = 6;
/** Steps between checkpoints. */
const every = 2;

let folder: string;

test.beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'loratory-resume-'));
});

test.afterAll(() => rm(folder, { recursive: true, force: true }));

const room = (page: Page, name: string): Promise<void> => page.getByRole('tab', { name }).click();
const field = (page: Page, name: string) => page.getByRole('textbox', { name, exact: true });
const chart = (page: Page) => page.getByTestId('loss-chart');

async function reachedStep(page: Page, least: number): Promise<void> {
  await expect
    .poll(async () => Number(await chart(page).getAttribute('data-steps')), { timeout: 300_000 })
    .toBeGreaterThanOrEqual(least);
}

async function openTrainRoom(page: Page): Promise<void> {
  await page.goto('/');
  await room(page, 'Train');
}

test('a run that is closed twice is resumed twice, watched, and branched', async ({ context }) => {
  // Four preparations, of which each takes a minute or more on a software GPU.
  test.setTimeout(20 * 60_000);
  const complaints: string[] = [];
  context.on('page', (opened) => opened.on('pageerror', (error) => complaints.push(error.message)));
  const first = await context.newPage();

  await test.step('start a run that keeps checkpoints', async () => {
    await first.goto('/');
    await room(first, 'Images');
    await first.getByTestId('image-input').setInputFiles(await writePictures(folder, 3));
    await expect(first.getByRole('list', { name: 'Training images' }).getByRole('listitem')).toHaveCount(3);
    await room(first, 'Train');
    await expect(first.getByRole('button', { name: 'Start training' })).toBeEnabled();
    await field(first, 'Name').fill('trunk');
    await field(first, 'Steps').fill(String(steps));
    await field(first, 'Sample every').fill(String(steps / 2));
    const prompts = first.getByRole('button', { name: /^Remove sample prompt \d+$/ });
    while ((await prompts.count()) > 1) await prompts.last().click();
    await first.getByRole('button', { name: /^Optimizer and schedule/ }).click();
    await field(first, 'Batch size').fill('1');
    await first.getByRole('button', { name: /^Samples/ }).click();
    await field(first, 'Sample steps').fill('2');
    await first.getByRole('button', { name: /^Validation and checkpoints/ }).click();
    await field(first, 'Validation images').fill('1');
    await field(first, 'Validate every').fill(String(steps));
    await field(first, 'Checkpoint every').fill(String(every));
    await first.getByRole('button', { name: 'Start training' }).click();
    await reachedStep(first, 1);
  });

  const second = await context.newPage();
  await test.step('a second tab looks on and cannot touch it', async () => {
    await openTrainRoom(second);
    await expect(second.getByText('Another tab trains this run.')).toBeVisible();
    await reachedStep(second, every + 1);
    await expect(second.getByRole('button', { name: 'Stop', exact: true })).toHaveCount(0);
    await expect(second.getByRole('button', { name: 'Start training' })).toHaveCount(0);
    await expect(second.getByRole('button', { name: 'Add to the queue' })).toBeVisible();
  });

  await test.step('its page is closed: the other tab offers to resume', async () => {
    await first.close();
    const interrupted = second.getByRole('list', { name: 'Interrupted runs' });
    await expect(interrupted).toContainText(`of ${steps}. Resumed, it ends exactly as if it had never stopped.`);
    await interrupted.getByRole('button', { name: 'Resume' }).click();
    await expect(second.getByRole('list', { name: 'Interrupted runs' })).toHaveCount(0);
    await expect(second.getByTestId('train-phase')).toHaveText('Training', { timeout: 300_000 });
  });

  const third = await context.newPage();
  await test.step('closed again, and resumed by a later visit', async () => {
    await second.close();
    await openTrainRoom(third);
    await third.getByRole('list', { name: 'Interrupted runs' }).getByRole('button', { name: 'Resume' }).click();
    await expect(third.getByTestId('train-phase')).toHaveText('Finished', { timeout: 300_000 });
    await expect(chart(third)).toHaveAttribute('data-steps', String(steps));
    await expect(third.getByTestId('story-grid')).toHaveAttribute('data-rows', '3');
    await third.getByRole('button', { name: 'Log', exact: true }).click();
    const log = third.getByRole('region', { name: 'Log' });
    await expect(log.getByText(/^Going on after step \d+ of 6\.$/)).toHaveCount(2);
    await expect(log.getByText('All 6 steps are done.').first()).toBeVisible();
  });

  await test.step('branch off, and draw while the branch trains', async () => {
    await third.getByRole('region', { name: 'Run', exact: true }).getByRole('button', { name: 'Branch…' }).click();
    const dialog = third.getByRole('dialog');
    await dialog.getByRole('combobox', { name: 'From step' }).selectOption(String(steps - every));
    await dialog.getByRole('textbox', { name: 'Learning rate' }).fill('5e-5');
    await dialog.getByRole('textbox', { name: 'Until step' }).fill(String(steps + 2));
    await dialog.getByRole('textbox', { name: 'Name' }).fill('slower');
    await dialog.getByRole('button', { name: 'Start the branch' }).click();
    await reachedStep(third, steps - every + 1);

    await room(third, 'Try');
    await field(third, 'Prompt').fill('pixel art of a dog face');
    await field(third, 'Steps').fill('2');
    await third.getByRole('button', { name: 'Generate' }).click();
    await expect(third.getByRole('img', { name: /^Generated picture/ })).toBeVisible({ timeout: 400_000 });

    await room(third, 'Train');
    await expect(third.getByTestId('train-phase')).toHaveText('Finished', { timeout: 300_000 });
    await expect(chart(third)).toHaveAttribute('data-steps', String(steps + 2));
    await third.getByRole('button', { name: 'Log', exact: true }).click();
    await expect(third.getByRole('region', { name: 'Log' })).toContainText(/Branched off “trunk” at step 4\./);
  });

  expect(complaints).toEqual([]);
});
