/**
 * `node tools/demo-model/samples.mjs [FOLDER]`: writes the sample image sets of the studio to FOLDER (public/samples): PNG files,
 * and index.json with titles, captions and prompts to try. The same program writes the same bytes each time.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { drawPip, poses } from './character.mjs';
import { styledCaption, styles } from './styles.mjs';

/** Pixels along each side of a sample. */
const side = 64;

/** @param {readonly string[]} lines */
const listed = (lines) => lines.flatMap((line) => line.split(', '));

const styleSets = [
  {
    id: /** @type {const} */ ('pixel-art'),
    title: 'Pixel art',
    description: 'Sprites on a grid of 16 × 16, with a dark outline.',
    names: [
      'cat face, fox, penguin, octopus, frog, whale, parrot',
      'red apple, strawberry, hamburger, cupcake, carrot, mushroom',
      'rocket, automobile, sailboat, fire engine',
      'slightly smiling face, robot, sunflower, cactus, house, gem stone, trophy',
    ],
    prompts: ['dog face', 'watermelon', 'ghost', 'tulip'],
  },
  {
    id: /** @type {const} */ ('ink'),
    title: 'Ink drawing',
    description: 'Black outlines on white paper, drawn shape by shape.',
    names: [
      'owl, elephant, dolphin, rabbit face, turtle, butterfly, rooster',
      'pineapple, ice cream, pizza, mushroom, hot beverage, grapes',
      'airplane, bicycle, tractor, flying saucer',
      'grinning face, guitar, umbrella, palm tree, castle, alarm clock, snowman',
    ],
    prompts: ['cat face', 'pear', 'bus', 'teapot'],
  },
  {
    id: /** @type {const} */ ('neon'),
    title: 'Neon sign',
    description: 'Glowing tubes in the dark.',
    names: [
      'flamingo, whale, lion, unicorn, parrot, snail, crab',
      'cherries, cocktail glass, taco, lemon, avocado, lollipop',
      'motor scooter, taxi, helicopter, ship',
      'smiling face with sunglasses, alien, red heart, saxophone, tulip, crown, light bulb',
    ],
    prompts: ['cat face', 'strawberry', 'rocket', 'star'],
  },
];

/** @param {string} text */
const slug = (text) => text.replace(/^an? /, '').replaceAll(' ', '-');

/** @param {Buffer} rgb */
const png = (rgb) =>
  sharp(rgb, { raw: { width: side, height: side, channels: 3 } })
    .png({ compressionLevel: 9, adaptiveFiltering: true })
    .toBuffer();

/** Every set as index.json lists it, with the pixels of its images. */
async function drawSets() {
  const inStyles = styleSets.map(async ({ id, title, description, names, prompts }) => ({
    entry: {
      id,
      title,
      description,
      preset: 'style',
      // The captions name the style already.
      trigger: '',
      samplePrompts: prompts.map((name) => styledCaption(id, name)),
      images: listed(names).map((name) => ({ file: `${id}/${slug(name)}.png`, caption: styledCaption(id, name) })),
    },
    pictures: await Promise.all(listed(names).map((name) => styles[id].render(name, side))),
  }));
  const id = 'pip-the-wizard';
  const trigger = 'pip the wizard';
  const character = {
    entry: {
      id,
      title: 'Pip the wizard',
      description: 'One character with twenty faces.',
      preset: 'character',
      trigger,
      samplePrompts: ['a happy face', 'a face with monocle', 'a sad face with a red apple', 'a sleepy face'].map(
        (prompt) => `${trigger}, ${prompt}`,
      ),
      images: poses.map(({ caption }) => ({ file: `${id}/${slug(caption)}.png`, caption })),
    },
    pictures: await Promise.all(poses.map((pose) => drawPip(pose, side))),
  };
  return [...(await Promise.all(inStyles)), character];
}

const folder = process.argv[2] ?? fileURLToPath(new URL('../../public/samples', import.meta.url));
const sets = await drawSets();
for (const { entry, pictures } of sets) {
  // Only this program's own files lie in a set's folder, and what it no longer draws must go.
  rmSync(join(folder, entry.id), { recursive: true, force: true });
  mkdirSync(join(folder, entry.id), { recursive: true });
  for (const [i, { file }] of entry.images.entries()) {
    const picture = pictures[i];
    if (picture === undefined) throw new Error(`There is no picture for ${file}.`);
    writeFileSync(join(folder, file), await png(picture));
  }
}
writeFileSync(join(folder, 'index.json'), `${JSON.stringify({ sets: sets.map(({ entry }) => entry) }, null, 2)}\n`);
console.log(`${sets.map(({ entry }) => `${entry.id}: ${entry.images.length}`).join(', ')} in ${folder}`);
