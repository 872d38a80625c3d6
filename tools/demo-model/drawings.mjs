/**
 * `node tools/demo-model/drawings.mjs [FOLDER]`: draws the emoji that the demo model is trained on.
 *
 * Writes drawings.json (names, side, order) and drawings.rgba (side x side x RGBA bytes each, straight alpha) to FOLDER
 * (.cache/demo-model). Source: @iconify-json/fluent-emoji-flat, MIT, drawn by Microsoft; rendered by librsvg through sharp.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';

/** Pixels along each side of a drawing. */
export const side = 64;

/** Skin tones repeat a drawing; flags, clock faces and keycaps are alike but for a detail. */
const leftOut = /(^|-)(light|medium-light|medium|medium-dark|dark)$|flag|^keycap|oclock|thirty/;

/** Read once: it is 4 MB of JSON. @type {ReturnType<typeof readIconSet> | undefined} */
let icons;

const iconSet = () => (icons ??= readIconSet());

/** @returns {{ icons: Record<string, { body: string, width?: number, height?: number }>, width: number, height: number }} */
function readIconSet() {
  const path = createRequire(import.meta.url).resolve('@iconify-json/fluent-emoji-flat/icons.json');
  return JSON.parse(readFileSync(path, 'utf8'));
}

/** The drawings' names as people write them, "cat face", in the set's (alphabetical) order. */
export function drawingNames() {
  return Object.keys(iconSet().icons)
    .filter((id) => !leftOut.test(id))
    .map((id) => id.replaceAll('-', ' '));
}

/**
 * One emoji's SVG by name: what stands inside the <svg> element, and the size that its coordinates are in.
 *
 * @param {string} name
 */
export function drawingShapes(name) {
  const set = iconSet();
  const icon = set.icons[name.replaceAll(' ', '-')];
  if (icon === undefined) throw new Error(`There is no drawing named "${name}".`);
  return { body: icon.body, width: icon.width ?? set.width, height: icon.height ?? set.height };
}

/**
 * Draws one emoji by name at `pixels` x `pixels`: straight RGBA.
 *
 * @param {string} name
 * @param {number} pixels
 * @returns {Promise<Buffer>}
 */
export function draw(name, pixels) {
  return renderShapes(drawingShapes(name), pixels);
}

/**
 * Draws shapes at `pixels` x `pixels`: straight RGBA.
 *
 * @param {ReturnType<typeof drawingShapes>} shapes
 * @param {number} pixels
 * @returns {Promise<Buffer>}
 */
export async function renderShapes({ body, width, height }, pixels) {
  // Rendered four times too large and reduced: librsvg's own edges are coarse at this size.
  const svg =
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" ` +
    `width="${4 * pixels}" height="${4 * pixels}">${body}</svg>`;
  return sharp(Buffer.from(svg)).resize(pixels, pixels, { kernel: 'lanczos3' }).ensureAlpha().raw().toBuffer();
}

// Not where it is a part of another program, bundled or not.
if (basename(process.argv[1] ?? '') === 'drawings.mjs') {
  const folder = process.argv[2] ?? fileURLToPath(new URL('../../.cache/demo-model', import.meta.url));
  mkdirSync(folder, { recursive: true });
  const names = drawingNames();
  /** @type {Buffer[]} */
  const pictures = [];
  for (const name of names) pictures.push(await draw(name, side));
  writeFileSync(join(folder, 'drawings.rgba'), Buffer.concat(pictures));
  writeFileSync(join(folder, 'drawings.json'), `${JSON.stringify({ side, names }, null, 1)}\n`);
  console.log(`${names.length} drawings of ${side} x ${side} in ${folder}`);
}
