/**
 * Three styles that the demo model's base does not know, as other renderings of its drawings: what the sample sets teach, and
 * what a LoRA's samples are compared with. Each takes a drawing's name and a side in pixels, and gives RGB bytes.
 */
import sharp from 'sharp';
import { draw, drawingShapes, renderShapes } from './drawings.mjs';

/** @typedef {ReturnType<typeof drawingShapes>} Shapes */

/** Pixels along each side of the grid that pixel art is drawn on. */
const grid = 16;

/** The colour of pixel art's outline: a dark violet, as the drawings' own darkest shapes have it. */
const outline = [43, 29, 52];

/**
 * RGB over a colour, of straight RGBA.
 *
 * @param {Buffer} rgba
 * @param {readonly number[]} background
 */
export function over(rgba, background) {
  const out = Buffer.alloc((rgba.length / 4) * 3);
  for (let p = 0; p < rgba.length / 4; p++) {
    const alpha = rgba.readUInt8(4 * p + 3) / 255;
    for (let c = 0; c < 3; c++) {
      out[3 * p + c] = Math.round(rgba.readUInt8(4 * p + c) * alpha + (background[c] ?? 0) * (1 - alpha));
    }
  }
  return out;
}

/**
 * Each shape painted anew by its own colour: `paint` returns the attributes that take the place of fill, stroke and opacity.
 *
 * @param {string} body
 * @param {(colour: string) => string} paint
 */
function repaint(body, paint) {
  return body.replaceAll(/<(path|ellipse|circle|rect)\b([^>]*?)(\/?)>/g, (_, tag, attributes, end) => {
    const colour = /\bfill="(#[0-9a-f]{3,6})"/.exec(attributes)?.[1] ?? '#888888';
    const rest = attributes.replaceAll(/ (fill|stroke|stroke-width|opacity)="[^"]*"/g, '');
    return `<${tag}${rest} ${paint(colour)}${end}>`;
  });
}

/** Red, green and blue of "#abc" or "#aabbcc". @param {string} hex */
function rgbOf(hex) {
  const width = hex.length === 4 ? 1 : 2;
  return [0, 1, 2].map((i) => Number.parseInt(hex.slice(1 + i * width, 1 + (i + 1) * width).repeat(3 - width), 16));
}

/** Perceived brightness, 0..1 (Rec. 709). @param {readonly number[]} rgb */
const luminance = ([r = 0, g = 0, b = 0]) => (0.2126 * r + 0.7152 * g + 0.0722 * b) / 255;

/**
 * What one cell of the grid shows: the colour that most of it has, so that no cell is a mix, or null where most of it is empty.
 * Dark colours count double: eyes and mouths are smaller than a cell.
 *
 * @param {Buffer} rgba @param {number} width @param {number} x0 @param {number} y0 @param {number} side
 * @returns {readonly number[] | null}
 */
function cellColour(rgba, width, x0, y0, side) {
  /** @type {Map<number, { votes: number, count: number, sum: [number, number, number] }>} */
  const colours = new Map();
  let filled = 0;
  for (let i = 0; i < side * side; i++) {
    const at = 4 * ((y0 + Math.floor(i / side)) * width + x0 + (i % side));
    if (rgba.readUInt8(at + 3) < 128) continue;
    filled++;
    const [r, g, b] = [rgba.readUInt8(at), rgba.readUInt8(at + 1), rgba.readUInt8(at + 2)];
    const key = ((r >> 5) << 6) | ((g >> 5) << 3) | (b >> 5);
    const entry = colours.get(key) ?? { votes: 0, count: 0, sum: [0, 0, 0] };
    entry.votes += luminance([r, g, b]) < 0.3 ? 2 : 1;
    entry.count++;
    entry.sum = [entry.sum[0] + r, entry.sum[1] + g, entry.sum[2] + b];
    colours.set(key, entry);
  }
  if (filled < (side * side) / 2) return null;
  const [first] = [...colours.values()].sort((a, b) => b.votes - a.votes);
  return first === undefined ? null : first.sum.map((value) => Math.round(value / first.count));
}

/**
 * Pixel art: drawn on a grid of 16 x 16 in plain colours with a dark outline, enlarged without smoothing.
 *
 * @param {string} name
 * @param {number} pixels a multiple of 16
 */
async function pixelArt(name, pixels) {
  const detail = 8;
  const drawn = await draw(name, grid * detail);
  const cells = Array.from({ length: grid * grid }, (_, i) =>
    cellColour(drawn, grid * detail, (i % grid) * detail, Math.floor(i / grid) * detail, detail),
  );
  const empty = (/** @type {number} */ x, /** @type {number} */ y) =>
    x < 0 || y < 0 || x >= grid || y >= grid || cells[y * grid + x] === null;
  const out = Buffer.alloc(pixels * pixels * 3, 255);
  const size = pixels / grid;
  for (let y = 0; y < pixels; y++) {
    for (let x = 0; x < pixels; x++) {
      const [cx, cy] = [Math.floor(x / size), Math.floor(y / size)];
      const alone = empty(cx - 1, cy) && empty(cx + 1, cy) && empty(cx, cy - 1) && empty(cx, cy + 1);
      const colour = cells[cy * grid + cx] ?? (alone ? undefined : outline);
      if (colour) out.set(colour, (y * pixels + x) * 3);
    }
  }
  return out;
}

/**
 * Ink: black outlines on white, drawn shape by shape; what was dark is filled with black.
 *
 * @param {string} name
 * @param {number} pixels
 */
async function ink(name, pixels) {
  const shapes = drawingShapes(name);
  const body = repaint(shapes.body, (colour) => {
    const fill = luminance(rgbOf(colour)) < 0.25 ? '#000' : '#fff';
    return `fill="${fill}" stroke="#000" stroke-width="0.9" stroke-linejoin="round"`;
  });
  return over(await renderShapes({ ...shapes, body }, pixels), [255, 255, 255]);
}

/** The night that neon glows in. */
const night = [10, 8, 22];

/** A colour at its brightest and most saturated, as a gas discharge has it. @param {readonly number[]} rgb */
function glowing(rgb) {
  const low = Math.min(...rgb);
  const high = Math.max(...rgb);
  // Greys, black and white have no hue of their own: they become a cold white.
  if (high - low < 40) return [190, 225, 255];
  return rgb.map((value) => Math.round(40 + (215 * (value - low)) / (high - low)));
}

/**
 * Neon: glowing tubes along the outlines of the shapes, in the shapes' colours, on a dark wall.
 *
 * @param {string} name
 * @param {number} pixels
 */
async function neon(name, pixels) {
  const shapes = drawingShapes(name);
  const body = repaint(shapes.body, (colour) => {
    const tube = `rgb(${glowing(rgbOf(colour)).join(',')})`;
    return `fill="rgb(${night.join(',')})" stroke="${tube}" stroke-width="0.8" stroke-linejoin="round"`;
  });
  const tubes = over(await renderShapes({ ...shapes, body }, pixels), night);
  const raw = { width: pixels, height: pixels, channels: /** @type {const} */ (3) };
  const near = await sharp(tubes, { raw })
    .blur(pixels / 40)
    .raw()
    .toBuffer();
  const far = await sharp(tubes, { raw })
    .blur(pixels / 12)
    .raw()
    .toBuffer();
  // Light adds up: the tube itself, its near glow and its far glow above the wall.
  return Buffer.from(
    tubes.map((value, i) => {
      const base = night[i % 3] ?? 0;
      return Math.min(255, value + 0.9 * ((near[i] ?? 0) - base) + 1.2 * ((far[i] ?? 0) - base));
    }),
  );
}

/** How captions and prompts name each style, and how it is drawn. */
export const styles = {
  'pixel-art': { wording: 'pixel art of', render: pixelArt },
  ink: { wording: 'an ink drawing of', render: ink },
  neon: { wording: 'a neon sign of', render: neon },
};

/**
 * The prompt for a drawing in a style: "pixel art of a cat face". What is many has no article.
 *
 * @param {keyof typeof styles} style
 * @param {string} name
 */
export function styledCaption(style, name) {
  const many = /^(cherries|grapes|scissors|sunglasses)$/.test(name);
  const article = /^(?!uni)[aeiou]/.test(name) ? 'an ' : 'a ';
  return `${styles[style].wording} ${many ? '' : article}${name}`;
}
