/**
 * A character that the demo model's base has never seen: Pip the wizard, a teal goblin with a violet hat. The faces and the things
 * held are the emoji drawings; hat and ears are drawn here.
 */
import { drawingShapes, renderShapes } from './drawings.mjs';
import { over } from './styles.mjs';

/** The faces' yellows and oranges, and what Pip has in their place. */
const skin = { '#ffb02e': '#35c7b5', '#ff822d': '#12907f', '#ff6723': '#12907f', '#f4900c': '#12907f' };

const ears =
  '<g fill="#1fa898"><path d="M7 17.5Q2.5 15.5.3 11.300Q-.4 20.5 7.5 23.500Z"/>' +
  '<path d="M25 17.500Q29.5 15.5 31.7 11.300Q32.4 20.5 24.5 23.500Z"/></g>';

const hat =
  '<path fill="#6a45c9" d="M8 11.600C11 8.8 12.6 5.2 14.8 2.200C16 .5 19.5-.2 21.8 1.600C22.8 2.5 21.9 3.6 20.7 3.3' +
  'C19.4 3 18.9 3.9 19.3 5.200C20.1 7.9 21.7 10 24 11.600Z"/>' +
  '<path fill="#ffc83d" d="M9.3 10.200Q16 12.6 22.6 10.200L24.2 12.200Q16 14.8 7.8 12.200Z"/>' +
  '<path fill="#4d2fa3" d="M3.8 13.300C3.5 11.7 6.2 11.3 8 11.600Q16 14 24 11.600C25.8 11.3 28.5 11.7 28.2 13.3' +
  'C27.5 15.6 21.5 16.3 16 16.300C10.5 16.3 4.5 15.6 3.8 13.300Z"/>';

/**
 * A drawing's shapes, moved: by SVG transforms, which apply from right to left.
 *
 * @param {string} name
 * @param {string} transform
 */
const placed = (name, transform) => `<g transform="${transform}">${drawingShapes(name).body}</g>`;

/**
 * Pip: a face, and what else is in the picture.
 *
 * @typedef {object} Pose
 * @property {string} face a drawing's name
 * @property {string} [turn] how all of Pip is turned and moved
 * @property {readonly (readonly [name: string, transform: string])[]} [things]
 *
 * @param {Pose} pose
 * @param {number} pixels
 */
export async function drawPip({ face, turn = '', things = [] }, pixels) {
  const yellow = placed(face, 'translate(4.5 8.9) scale(.72)');
  const teal = Object.entries(skin).reduce((body, [from, to]) => body.replaceAll(from, to), yellow);
  const stars = placed('star', 'translate(14.7 5.2) scale(.12)') + placed('star', 'translate(12.6 8) scale(.08)');
  const body =
    `<g transform="${turn}">${ears}${teal}<g transform="translate(1.2 -.4) scale(.925 .88)">${hat}${stars}</g></g>` +
    things.map(([name, transform]) => placed(name, transform)).join('');
  return over(await renderShapes({ body, width: 32, height: 32 }, pixels), [255, 255, 255]);
}

const wand = /** @type {const} */ (['magic wand', 'translate(19.5 18.5) scale(.4)']);

/** What Pip does, as captions tell it after the trigger words. @type {readonly (Pose & { caption: string })[]} */
export const poses = [
  { caption: 'a smiling face', face: 'slightly smiling face' },
  { caption: 'a grinning face', face: 'grinning face with big eyes', turn: 'rotate(-8 16 18)' },
  { caption: 'a winking face', face: 'winking face' },
  { caption: 'a crying face', face: 'crying face', turn: 'rotate(6 16 18)' },
  { caption: 'an angry face', face: 'angry face' },
  { caption: 'a sleeping face', face: 'sleeping face', turn: 'rotate(12 16 18)' },
  { caption: 'an astonished face', face: 'astonished face' },
  { caption: 'a thinking face', face: 'thinking face' },
  { caption: 'a face with heart eyes', face: 'smiling face with heart eyes' },
  { caption: 'a face with sunglasses', face: 'smiling face with sunglasses', turn: 'rotate(-6 16 18)' },
  { caption: 'a star struck face', face: 'star struck' },
  { caption: 'a face with tongue', face: 'face with tongue', turn: 'rotate(8 16 18)' },
  { caption: 'a frowning face', face: 'frowning face' },
  { caption: 'a laughing face', face: 'grinning squinting face' },
  { caption: 'a smiling face with a magic wand', face: 'smiling face with smiling eyes', things: [wand] },
  {
    caption: 'a grinning face with a magic wand',
    face: 'grinning face',
    turn: 'rotate(-10 16 18)',
    things: [wand, ['sparkles', 'translate(0 0) scale(.3)']],
  },
  {
    caption: 'a smirking face with a crystal ball',
    face: 'smirking face',
    things: [['crystal ball', 'translate(20 19) scale(.38)']],
  },
  {
    caption: 'a nerd face with a blue book',
    face: 'nerd face',
    things: [['blue book', 'translate(-1 20.5) scale(.36)']],
  },
  {
    caption: 'a kissing face with a red heart',
    face: 'kissing face with closed eyes',
    things: [['red heart', 'translate(22 1.5) scale(.3)']],
  },
  {
    caption: 'a neutral face in the night',
    face: 'neutral face',
    things: [['crescent moon', 'translate(.5 .5) scale(.3)']],
  },
];
