/**
 * Plan: captions, masks and metadata find their pictures by path; kohya's folders give repeats and a caption; what has no picture is
 * handed back; litter is passed over; a broken line of metadata is named.
 */
import { expect, test } from 'vitest';
import { sortFiles, withoutExtension, type NamedFile } from './sortFiles.ts';

const file = (path: string, text = path): NamedFile => ({ path, file: new Blob([text]) });

test('captions and masks lie beside their pictures', async () => {
  const { images, orphanCaptions, orphanMasks, refused } = await sortFiles([
    file('a.b.png'),
    file('a.b.txt', ' a bee \n'),
    file('cats/tom.JPG'),
    file('cats/tom.mask.png'),
    file('dogs/tom.webp'),
    file('dogs/tom.caption', 'a dog'),
    file('dogs/rex.png'),
    file('dogs/rex-masklabel.png'),
    file('cats/gone.txt', 'gone'),
    file('cats/far.mask.png'),
  ]);
  expect(images.map(({ path, caption, mask }) => [path, caption, mask?.path ?? null])).toEqual([
    ['a.b.png', 'a bee', null],
    ['cats/tom.JPG', null, 'cats/tom.mask.png'],
    ['dogs/tom.webp', 'a dog', null],
    ['dogs/rex.png', null, 'dogs/rex-masklabel.png'],
  ]);
  expect(orphanCaptions).toEqual([{ path: 'cats/gone.txt', stem: 'gone', caption: 'gone' }]);
  expect(orphanMasks).toMatchObject([{ path: 'cats/far.mask.png', stem: 'far' }]);
  expect(refused).toEqual([]);
});

test('two pictures of one name share their caption and mask', async () => {
  const { images, orphanCaptions, orphanMasks } = await sortFiles([
    file('a.png'),
    file('a.jpg'),
    file('a.txt', 'a cat'),
    file('a.mask.png'),
  ]);
  expect(images.map(({ caption, mask }) => [caption, mask?.path])).toEqual([
    ['a cat', 'a.mask.png'],
    ['a cat', 'a.mask.png'],
  ]);
  expect([...orphanCaptions, ...orphanMasks]).toEqual([]);
});

test("kohya's folders: repeats, and their words where there is no caption", async () => {
  const { images } = await sortFiles([
    file('set/10_sks dog/a.png'),
    file('set/10_sks dog/b.png'),
    file('set/10_sks dog/b.txt', 'sks dog on grass'),
    file('set/0_none/c.png'),
    file('set/2020/d.png'),
  ]);
  expect(images.map(({ caption, repeats }) => [caption, repeats])).toEqual([
    ['sks dog', 10],
    ['sks dog on grass', 10],
    [null, null],
    [null, null],
  ]);
});

test('metadata.jsonl gives captions by file name; a .txt goes before it; broken lines are named', async () => {
  const lines = [
    '{"file_name": "a.png", "text": " a cat "}',
    '',
    '{"file_name": "sub/b.png", "text": "a bee"}',
    '{"file_name": "c.png"}',
    'no json',
    '{"file_name": "d.png", "text": "listed"}',
  ].join('\n');
  const { images, refused } = await sortFiles([
    file('set/a.png'),
    file('set/sub/b.png'),
    file('set/d.png'),
    file('set/d.txt', 'own'),
    file('set/metadata.jsonl', lines),
  ]);
  expect(images.map(({ caption }) => caption)).toEqual(['a cat', 'a bee', 'own']);
  expect(refused.map(({ error }) => error.message)).toEqual([
    'Line 4 of metadata.jsonl is no caption.',
    'Line 5 of metadata.jsonl is no caption.',
  ]);
});

test('passes over what systems leave behind', async () => {
  const { images } = await sortFiles(
    ['__MACOSX/a.png', 'set/.DS_Store', 'set/._a.png', 'Thumbs.db', 'set/a.png'].map((path) => file(path)),
  );
  expect(images.map(({ path }) => path)).toEqual(['set/a.png']);
});

test.each([
  ['cats/tom.png', 'cats/tom'],
  ['v1.2/tom', 'v1.2/tom'],
  ['.hidden', '.hidden'],
  ['tom', 'tom'],
])('%s without its extension is %s', (path, stem) => expect(withoutExtension(path)).toBe(stem));
