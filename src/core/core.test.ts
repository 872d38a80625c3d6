// Plan: the small shared pieces: bytes are rounded half to even and clamped, NaN becomes 0; triggers stand in front; errors
// cross the worker boundary with their facts.
import { expect, test } from 'vitest';
import { clampByte } from './bytes.ts';
import { captionWithTrigger } from './captions.ts';
import { InvariantError, RemoteError, toPlainError } from './errors.ts';
import { blobSource, bytesSource, readText } from './files.ts';
import { invariant } from './invariant.ts';

test.each([
  [0.5, 0],
  [1.5, 2],
  [2.5, 2],
  [254.6, 255],
  [300, 255],
  [-4, 0],
  [Number.NaN, 0],
])('clampByte(%f) is %i', (value, byte) => {
  expect(clampByte(value)).toBe(byte);
});

test.each([
  ['sks', ' a dog ', 'sks, a dog'],
  ['', 'a dog', 'a dog'],
  [' sks ', '', 'sks'],
  ['', '  ', ''],
])('trigger %j and caption %j give %j', (trigger, caption, expected) => {
  expect(captionWithTrigger(trigger, caption)).toBe(expected);
});

test('errors cross the worker boundary with code, facts and remedy', () => {
  const error = new InvariantError('It broke', { size: 3 });
  const back = new RemoteError(structuredClone(toPlainError(error)));
  expect(back.code).toBe('invariant');
  expect(back.message).toBe('It broke');
  expect(back.remedy).toBe('This is a fault in Loratory itself: please report it with the text above.');
  expect(back.facts).toEqual({ size: 3 });
});

test('whatever is thrown becomes a plain error', () => {
  expect(toPlainError('text')).toMatchObject({ code: 'unexpected', message: 'text' });
  expect(toPlainError(new DOMException('x', 'AbortError'))).toMatchObject({ code: 'aborted', message: 'Cancelled.' });
});

test('invariant throws a typed error', () => {
  expect(() => invariant(false, 'no')).toThrow(InvariantError);
  invariant(true, 'yes');
});

test.each([
  ['bytesSource', bytesSource('x', new TextEncoder().encode('hello'))],
  ['blobSource', blobSource('x', new Blob(['hello']))],
])('%s reads ranges and refuses what lies outside', async (_name, source) => {
  expect(new TextDecoder().decode(await source.read(1, 3))).toBe('el');
  expect(await readText(source)).toBe('hello');
  await expect(source.read(3, 9)).rejects.toThrow('x: bytes 3 to 9 of 5');
});
