import { describe, expect, it } from 'vitest';
import {
  formatBytes,
  formatDate,
  formatDuration,
  formatEta,
  formatLoss,
  formatSpeed,
  plural,
  shortModelName,
} from './format.ts';

describe('formatBytes', () => {
  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [1200, '1 kB'],
    [999_600, '1 MB'],
    [640_000_000, '640 MB'],
    [2_130_000_000, '2.1 GB'],
    [180e9, '180 GB'],
    [3.2e15, '3200 TB'],
  ])('%d bytes -> %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text));
});

describe('formatDuration', () => {
  it.each([
    [0.2, 'under a second'],
    [42.4, '42 s'],
    [59.6, '1 min 00 s'],
    [185, '3 min 05 s'],
    [3599.7, '1 h 00 min'],
    [4800, '1 h 20 min'],
    [7199, '2 h 00 min'],
    [NaN, 'unknown'],
    [-1, 'unknown'],
  ])('%d s -> %s', (seconds, text) => expect(formatDuration(seconds)).toBe(text));
});

describe('formatEta', () => {
  it('says what is left, or that it does not know yet', () => {
    expect(formatEta(185)).toBe('3 min 05 s left');
    expect(formatEta(0.3)).toBe('almost done');
    expect(formatEta(null)).toBe('estimating…');
    expect(formatEta(Infinity)).toBe('estimating…');
  });
});

describe('the rest', () => {
  it('puts speed in the form that is easier to read', () => {
    expect(formatSpeed(412)).toBe('2.4 steps/s');
    expect(formatSpeed(2400)).toBe('2.4 s/step');
    expect(formatSpeed(0)).toBe('–');
  });

  it('shows losses, counts, dates and model names', () => {
    expect(formatLoss(0.08421)).toBe('0.0842');
    expect(formatLoss(NaN)).toBe('–');
    expect(plural(1, 'image')).toBe('1 image');
    expect(plural(1200, 'file was', 'files were')).toBe('1,200 files were');
    expect(shortModelName('a/b-c')).toBe('b-c');
    const now = new Date(2026, 10, 23, 20, 0);
    expect(formatDate(new Date(2026, 10, 23, 9, 5).getTime(), now)).toBe('Today 09:05');
    expect(formatDate(new Date(2026, 2, 4, 9, 5).getTime(), now)).toBe('4 Mar 09:05');
    expect(formatDate(new Date(2025, 2, 4, 9, 5).getTime(), now)).toBe('4 Mar 2025');
  });
});
