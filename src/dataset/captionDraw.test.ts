// Plan: dropping empties; shuffling keeps the first tags and all others, in an order that the seed decides; otherwise nothing changes.
import { expect, test } from 'vitest';
import { drawCaption } from './captionDraw.ts';

const caption = 'sks, a cat, red hat, snow, evening';

test('a dropped caption is empty', () => {
  expect(drawCaption(caption, { dropped: true, seed: 1 }, { shuffleTags: true, keepTokens: 1 })).toBe('');
});

test('without shuffling a caption stays as it is written', () => {
  expect(drawCaption('a  cat,hat', { dropped: false, seed: 1 }, { shuffleTags: false, keepTokens: 1 })).toBe(
    'a  cat,hat',
  );
});

test('the first tags stay, the others are all there in another order', () => {
  const orders = new Set<string>();
  for (let seed = 0; seed < 50; seed++) {
    const drawn = drawCaption(caption, { dropped: false, seed }, { shuffleTags: true, keepTokens: 2 });
    expect(drawn.startsWith('sks, a cat, ')).toBe(true);
    expect(drawn.split(', ').toSorted()).toEqual(caption.split(', ').toSorted());
    orders.add(drawn);
  }
  expect(orders.size).toBe(6);
  const again = { dropped: false, seed: 7 };
  const options = { shuffleTags: true, keepTokens: 0 };
  expect(drawCaption(caption, again, options)).toBe(drawCaption(caption, again, options));
});
