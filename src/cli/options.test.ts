// Plan: numbers and LoRAs as they are typed, and what is wanted where they are wrong.
import { describe, expect, test } from 'vitest';
import { axisOption } from './generateFlags.ts';
import { loraOption, real, whole } from './options.ts';

describe('loraOption', () => {
  test.each([
    ['style.safetensors', { path: 'style.safetensors', weight: 1 }],
    ['a b.safetensors:0.8', { path: 'a b.safetensors', weight: 0.8 }],
    ['x:-.5', { path: 'x', weight: -0.5 }],
    ['x.safetensors:1:0.25', { path: 'x.safetensors', weight: 1, textEncoderWeight: 0.25 }],
    ['C:\\loras\\x.safetensors:0.5', { path: 'C:\\loras\\x.safetensors', weight: 0.5 }],
  ])('%s', (text, expected) => {
    expect(loraOption(text)).toEqual([expected]);
    expect(loraOption('y', loraOption(text))).toEqual([expected, { path: 'y', weight: 1 }]);
  });

  test('no file', () => {
    expect(() => loraOption(':1')).toThrow('FILE:WEIGHT is wanted');
  });
});

test('numbers', () => {
  expect([whole('12'), real('-0.5')]).toEqual([12, -0.5]);
  for (const text of ['', ' ', '1.5', 'x']) expect(() => whole(text)).toThrow('A whole number is wanted.');
  for (const text of ['', 'x', 'Infinity']) expect(() => real(text)).toThrow('A number is wanted.');
});

describe('axisOption', () => {
  test.each([
    ['seed=1-3', { kind: 'seed', values: ['1', '2', '3'] }],
    ['lora-weight@2=0, 1', { kind: 'lora-weight', values: ['0', '1'], lora: 1 }],
    ['prompt=a=b, c', { kind: 'prompt', values: ['a=b', 'c'] }],
  ])('%s', (text, axis) => {
    expect(axisOption(text)).toEqual(axis);
  });

  test.each(['seeds=1', 'seed', 'lora-weight@0=1', '=1'])('%s is no axis', (text) => {
    expect(() => axisOption(text)).toThrow('KIND=VALUES');
  });
});
