// Plan: the version that recipes state is the package's.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { software } from './version.ts';

test('name and version are those of package.json', () => {
  const { name, version } = JSON.parse(readFileSync('package.json', 'utf8')) as { name: string; version: string };
  expect(software).toEqual({ name, version });
});
