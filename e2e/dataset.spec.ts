// Plan: a folder's worth of images of mixed shapes is dropped, with captions, a mask, a duplicate and a picture that is none. The buckets are
// counted; a crop is moved and zoomed; a mask is painted; a tag is replaced over all images; each is undone; all of it is there after a reload.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, type Locator, type Page } from '@playwright/test';
import { strToU8, zipSync } from 'fflate';
import sharp from 'sharp';

let folder: string;

test.beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'loratory-dataset-'));
  for (const [name, width, height, caption] of [
    ['square', 600, 600, 'a barn, autumn'],
    ['small', 300, 300, 'a cat, Autumn'],
    ['wide', 1280, 960, 'a field, autumn, river'],
    ['tall', 960, 1280, 'a tower'],
  ] as const) {
    const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">
      <rect width="100%" height="100%" fill="#8ab"/>
      <circle cx="${width / 3}" cy="${height / 3}" r="${height / 6}" fill="#c53"/><text x="20" y="60">${name}</text></svg>`;
    await sharp(Buffer.from(svg))
      .jpeg()
      .toFile(join(folder, `${name}.jpg`));
    await writeFile(join(folder, `${name}.txt`), caption);
  }
  const mask = { create: { width: 120, height: 120, channels: 3, background: 'white' } } as const;
  await sharp(mask)
    .composite([{ input: { create: { ...mask.create, width: 60, background: 'black' } }, left: 0, top: 0 }])
    .png()
    .toFile(join(folder, 'square.mask.png'));
  await writeFile(join(folder, 'letter.png'), 'no picture');
  const zipped = await readFile(join(folder, 'tall.jpg'));
  const another = await sharp(zipped).flop().jpeg().toBuffer();
  await writeFile(
    join(folder, 'more.zip'),
    zipSync({
      'set/3_tower/mirrored.jpg': new Uint8Array(another),
      'set/3_tower/again.jpg': new Uint8Array(zipped),
      // The same words too: it would bring the folder's else.
      'set/3_tower/again.txt': strToU8('a tower'),
      'set/__MACOSX/x': strToU8('litter'),
    }),
  );
});

test.afterAll(() => rm(folder, { recursive: true, force: true }));

const card = (page: Page, name: string): Locator =>
  page.getByRole('list', { name: 'Training images' }).getByRole('listitem').filter({ hasText: name });

const undo = (page: Page): Locator => page.getByRole('toolbar').getByRole('button', { name: 'Undo' });

test('images of mixed shapes: buckets, crop, mask, tags, and back', async ({ page }) => {
  await page.goto('/#images');
  const images = ['square', 'small', 'wide', 'tall'].flatMap((name) => [`${name}.jpg`, `${name}.txt`]);
  const files = [...images, 'square.mask.png', 'letter.png', 'more.zip'].map((name) => join(folder, name));
  await page.getByTestId('image-input').setInputFiles(files);
  await expect(page.getByRole('list', { name: 'Training images' }).getByRole('listitem')).toHaveCount(5);
  const refused = page.getByRole('alert', { name: 'Files that were not taken' });
  await expect(refused).toContainText('letter.png is not a PNG');
  await expect(refused).toContainText('again.jpg is the same picture as tall.jpg, which is here already.');
  await page.getByRole('button', { name: 'Dismiss the list' }).click();
  await expect(card(page, 'mirrored.jpg')).toContainText('×3');
  await expect(card(page, 'mirrored.jpg').getByRole('textbox')).toHaveValue('tower');

  // The demo model's squares first; each image in its own shape with buckets.
  const sizes = page.getByRole('list', { name: 'Sizes' }).getByRole('listitem');
  await expect(sizes).toHaveText([/64 × 64\s*5 images/]);
  await page.getByRole('checkbox', { name: /Keep each image/ }).check();
  await expect(sizes).toHaveText([/64 × 64\s*2 images/, /56 × 72\s*2 images/, /72 × 56\s*1 image/]);

  // The crop: zoomed by keyboard, moved by drag, kept, undone.
  await card(page, 'wide.jpg').hover();
  await page.getByRole('button', { name: 'Crop wide.jpg' }).click();
  const dialog = page.getByRole('dialog', { name: 'wide.jpg' });
  await expect(dialog).toContainText('are trained at 72 × 56');
  const zoom = dialog.getByRole('slider', { name: 'Zoom of the crop' });
  await zoom.focus();
  for (let i = 0; i < 20; i++) await zoom.press('ArrowRight');
  await expect(dialog).toContainText('614 × 480 pixels of the picture are trained');
  const stage = (await dialog.getByTestId('container').boundingBox()) ?? { x: 0, y: 0, width: 0, height: 0 };
  const [x, y] = [stage.x + stage.width / 2, stage.y + stage.height / 2];
  await page.mouse.move(x, y);
  await page.mouse.down();
  await page.mouse.move(x + 60, y + 30, { steps: 4 });
  await page.mouse.up();
  await dialog.getByRole('button', { name: 'Done' }).click();
  await expect(dialog).toBeHidden();
  await page.reload();
  await card(page, 'wide.jpg').hover();
  const crop = page.getByRole('button', { name: 'Crop wide.jpg' });
  await expect(crop).toHaveAttribute('data-set', 'true');
  await crop.click();
  await expect(dialog).toContainText('614 × 480 pixels of the picture are trained');
  await dialog.getByRole('button', { name: 'Back to the centre' }).click();
  await expect(dialog).toContainText('1229 × 960 pixels of the picture are trained');
  await page.keyboard.press('Escape');
  await expect(crop).toHaveAttribute('data-set', 'false');
  await undo(page).click();
  await expect(crop).toHaveAttribute('data-set', 'true');

  // A mask that was dropped, and one that is painted, first with the pointer, then with the keyboard.
  await expect(page.getByRole('button', { name: 'Mask of square.jpg' })).toHaveAttribute('data-set', 'true');
  await card(page, 'tall.jpg').hover();
  const mask = page.getByRole('button', { name: 'Mask of tall.jpg' });
  await mask.click();
  const painter = page.getByRole('dialog', { name: 'tall.jpg' });
  await expect(painter).toContainText('All of the picture is learned.');
  const surface = painter.getByRole('button', { name: /^Mask of tall.jpg/ });
  const box = (await surface.boundingBox()) ?? { x: 0, y: 0, width: 0, height: 0 };
  await page.mouse.move(box.x + box.width * 0.3, box.y + box.height * 0.3);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.6, box.y + box.height * 0.5, { steps: 5 });
  await page.mouse.up();
  await expect(painter).toContainText('What is tinted is not learned');
  await painter.getByRole('button', { name: 'Undo' }).click();
  await expect(painter).toContainText('All of the picture is learned.');
  await surface.focus();
  await surface.press('Space');
  await surface.press('Shift+ArrowDown');
  await expect(painter).toContainText('What is tinted is not learned');
  await painter.getByRole('button', { name: 'Next image' }).click();
  await expect(page.getByRole('dialog', { name: 'mirrored.jpg' })).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(mask).toHaveAttribute('data-set', 'true');
  await expect(page.getByRole('checkbox', { name: /Use masks/ })).toBeChecked();
  await page.keyboard.press('Control+z');
  await expect(mask).toHaveAttribute('data-set', 'false');

  // A tag over all images, with undo.
  await page.getByRole('button', { name: /^autumn 3/ }).click();
  await expect(page.getByRole('list', { name: 'Training images' }).getByRole('listitem')).toHaveCount(3);
  const replacement = page.getByRole('textbox', { name: 'Replace autumn by' });
  await replacement.fill('winter');
  await replacement.press('Enter');
  await expect(card(page, 'small.jpg').getByRole('textbox')).toHaveValue('a cat, winter');
  await expect(card(page, 'wide.jpg').getByRole('textbox')).toHaveValue('a field, winter, river');
  await undo(page).click();
  await expect(card(page, 'small.jpg').getByRole('textbox')).toHaveValue('a cat, Autumn');
  await page.getByRole('textbox', { name: 'Tag to add to all images' }).fill('snow');
  await page.keyboard.press('Enter');
  await expect(card(page, 'tall.jpg').getByRole('textbox')).toHaveValue('a tower, snow');

  // Found again: images without a caption, images kept for validation.
  await card(page, 'tall.jpg').getByRole('textbox').fill('');
  await page.getByRole('textbox', { name: 'Trigger word' }).focus();
  await page.getByRole('combobox', { name: 'Images to show' }).selectOption('uncaptioned');
  await expect(page.getByRole('list', { name: 'Training images' }).getByRole('listitem')).toHaveCount(1);
  await page.getByRole('button', { name: 'Select all' }).click();
  await page.getByRole('button', { name: 'Keep for validation' }).click();
  await expect(page.getByText('5 images, 1 for validation')).toBeVisible();
  await page.getByRole('combobox', { name: 'Images to show' }).selectOption('heldOut');
  await expect(card(page, 'tall.jpg')).toContainText('Validation');
});

test('pictures as cameras and painters make them: turned, of four inks, moving, huge, transparent', async ({
  page,
}) => {
  const side = { create: { width: 60, height: 30, channels: 3, background: 'red' } } as const;
  const file = (name: string): string => join(folder, name);
  await sharp(side).jpeg().withMetadata({ orientation: 6 }).toFile(file('turned.jpg'));
  await sharp(side).toColourspace('cmyk').jpeg().toFile(file('inks.jpg'));
  const frames = Buffer.concat([Buffer.alloc(20 * 20 * 3, 255), Buffer.alloc(20 * 20 * 3, 0)]);
  await sharp(frames, { raw: { width: 20, height: 40, channels: 3, pageHeight: 20 } })
    .gif()
    .toFile(file('moving.gif'));
  await sharp({ create: { ...side.create, width: 12_000, height: 600 } })
    .png()
    .toFile(file('huge.png'));
  await sharp({ create: { width: 40, height: 40, channels: 4, background: { r: 0, g: 0, b: 0, alpha: 0 } } })
    .png()
    .toFile(file('clear.png'));
  await page.goto('/#images');
  const names = ['turned.jpg', 'inks.jpg', 'moving.gif', 'huge.png', 'clear.png'];
  await page.getByTestId('image-input').setInputFiles(names.map(file));
  const sizes = ['30 × 60', '60 × 30', '20 × 20', '12000 × 600', '40 × 40'];
  for (const [i, name] of names.entries())
    await expect(card(page, name).getByTitle(`${name}, ${sizes[i]}`)).toBeVisible();
  const colour = page.getByLabel(/^Transparent parts/);
  await colour.fill('#00ff00');
  await expect(card(page, 'clear.png').locator('.image-fit')).toHaveCSS('background-color', 'rgb(0, 255, 0)');
  await card(page, 'huge.png').hover();
  await page.getByRole('button', { name: 'Crop huge.png' }).click();
  await expect(page.getByRole('dialog', { name: 'huge.png' })).toContainText('600 × 600 pixels of the picture');
});
