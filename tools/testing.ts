/** For tests only: fixtures read from disk, the oracle's cases, and a comparison that says where two tensors differ most. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { folderTree } from '../src/cli/nodeFiles.ts';
import { bytesSource, type FileTree } from '../src/core/files.ts';
import { defined } from '../src/core/invariant.ts';
import { openSafetensors, type SafetensorsFile } from '../src/formats/safetensors.ts';

const FIXTURES = new URL('../fixtures/', import.meta.url);

/** The bytes of a file of fixtures/, e.g. `sd15-tiny/model/unet/config.json`. */
export function fixtureBytes(path: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(readFileSync(new URL(path, FIXTURES)));
}

export function fixtureJson(path: string): unknown {
  return JSON.parse(new TextDecoder().decode(fixtureBytes(path)));
}

/** A folder of fixtures/, e.g. `sd15-tiny/model`. */
export async function fixtureTree(path: string): Promise<FileTree> {
  return folderTree(fileURLToPath(new URL(path, FIXTURES)));
}

export async function fixtureSafetensors(path: string): Promise<SafetensorsFile> {
  return openSafetensors(bytesSource(path, fixtureBytes(path)));
}

/** One case of a pack's goldens.json; see its `about` for the meaning of references. */
export interface OracleCase {
  readonly id: string;
  readonly group: string;
  readonly roles: Readonly<Record<string, string>>;
  readonly params: Readonly<Record<string, unknown>>;
  readonly tolerance: Readonly<Record<string, { readonly atol: number }>>;
}

/** The cases of sd15-tiny whose id begins with `prefix`, at least one. */
export function oracleCases(prefix: string): readonly OracleCase[] {
  const { cases } = fixtureJson('sd15-tiny/goldens.json') as { readonly cases: readonly OracleCase[] };
  const found = cases.filter((c) => c.id.startsWith(prefix));
  expect(found.length, `cases ${prefix}*`).toBeGreaterThan(0);
  return found;
}

/** A tensor of a case by its role, as numbers, with the tolerance that the case gives it (0 for inputs). */
export async function golden(
  c: OracleCase,
  role: string,
): Promise<{ readonly values: Float32Array; readonly shape: readonly number[]; readonly atol: number }> {
  const reference = defined(c.roles[role], `${c.id}: role ${role}`);
  const [file, name] = reference.split('#') as [string, string];
  const tensors = await fixtureSafetensors(`sd15-tiny/goldens/${file}.safetensors`);
  const { dtype, shape } = tensors.info(name);
  const values = dtype.includes('F')
    ? await tensors.readFloat32(name)
    : Float32Array.from(await tensors.readInts(name));
  return { values, shape, atol: c.tolerance[reference]?.atol ?? 0 };
}

/** Fails unless the two have one length and differ nowhere by more than `atol`; the message says where they differ most. */
export function expectClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  atol: number,
  what = 'values',
): void {
  expect(actual.length, `length of ${what}`).toBe(expected.length);
  let worst = 0;
  let at = 0;
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs(actual[i]! - expected[i]!);
    if (!(difference <= worst)) {
      worst = difference;
      at = i;
      if (Number.isNaN(difference)) break;
    }
  }
  expect(worst, `${what} differ most at ${at}: ${actual[at]} instead of ${expected[at]}`).toBeLessThanOrEqual(atol);
}
