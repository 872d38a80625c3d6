/**
 * Plan: what is written is read back, in every dtype and conversion; only the ranges asked for are read; a file of the reference
 * implementation; each kind of malformed file is refused for its own reason; 2,000 mutated files are each accepted or refused with a
 * typed error. Then the choice among a component's weight files, and shards.
 */
import { describe, expect, it } from 'vitest';
import { type ByteSource, bytesSource, type FileTree } from '../core/files.ts';
import { TorchGenerator } from '../core/rng.ts';
import { NoModelWeightsError, openModelWeights, ShardIndexError, weightPaths } from './modelWeights.ts';
import {
  encodeSafetensors,
  openSafetensors,
  SafetensorsError,
  type SafetensorsFault,
  type TensorToWrite,
} from './safetensors.ts';
import { findDuplicateKey } from './safetensorsHeader.ts';
import { fixtureBytes, fixtureSafetensors } from '../../tools/testing.ts';

type Bytes = Uint8Array<ArrayBuffer>;

const EXAMPLE: readonly TensorToWrite[] = [
  { name: 'half', dtype: 'F16', shape: [3], data: Uint16Array.of(0x3c00, 0xc000, 0x3555) },
  { name: 'brain', dtype: 'BF16', shape: [1, 2], data: Uint16Array.of(0x3f80, 0xc000) },
  { name: 'single', dtype: 'F32', shape: [2], data: Float32Array.of(0.1, -65504) },
  { name: 'double', dtype: 'F64', shape: [2], data: Float64Array.of(0.1, 1e10) },
  { name: 'long', dtype: 'I64', shape: [2], data: BigInt64Array.of(-3n, 76n) },
  { name: 'int', dtype: 'I32', shape: [1], data: Int32Array.of(-7) },
  { name: 'short', dtype: 'I16', shape: [1], data: Int16Array.of(-300) },
  { name: 'signed', dtype: 'I8', shape: [1], data: Int8Array.of(-8) },
  { name: 'byte', dtype: 'U8', shape: [3], data: Uint8Array.of(1, 2, 255) },
  { name: 'flag', dtype: 'BOOL', shape: [2], data: Uint8Array.of(0, 1) },
  { name: 'scalar', dtype: 'F32', shape: [], data: Float32Array.of(4) },
  { name: 'none', dtype: 'F32', shape: [0, 5], data: new Float32Array() },
];

/** A file whose header is exactly `json`. */
function rawFile(json: string | Bytes, dataBytes: number, headerBytes?: bigint): Bytes {
  const header = typeof json === 'string' ? new TextEncoder().encode(json) : json;
  const file = new Uint8Array(8 + header.length + dataBytes);
  new DataView(file.buffer).setBigUint64(0, headerBytes ?? BigInt(header.length), true);
  file.set(header, 8);
  return file;
}

async function refusal(bytes: Bytes): Promise<SafetensorsError> {
  const error: unknown = await openSafetensors(bytesSource('a.safetensors', bytes)).then(
    () => 'accepted',
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(SafetensorsError);
  return error as SafetensorsError;
}

describe('safetensors', () => {
  it('reads back every dtype that it writes', async () => {
    const file = await openSafetensors(bytesSource('x', encodeSafetensors(EXAMPLE, { b: '2', a: 'ü "quoted"' })));
    expect(file.metadata).toEqual({ a: 'ü "quoted"', b: '2' });
    expect(file.names()).toHaveLength(EXAMPLE.length);
    for (const { name, dtype, shape, data } of EXAMPLE) {
      expect(file.info(name)).toMatchObject({ dtype, shape, byteLength: data.byteLength });
      expect(await file.readBytes(name)).toEqual(new Uint8Array(data.buffer));
    }
    expect([...(await file.readFloat32('half'))]).toEqual([1, -2, 1365 / 4096]);
    expect([...(await file.readFloat32('brain'))]).toEqual([1, -2]);
    expect([...(await file.readFloat32('double'))]).toEqual([Math.fround(0.1), 1e10]);
    expect([...(await file.readFloat32('none'))]).toEqual([]);
    expect([...(await file.readFloat16('single'))]).toEqual([0x2e66, 0xfbff]);
    expect([...(await file.readFloat16('brain'))]).toEqual([0x3c00, 0xc000]);
    expect([...(await file.readFloat16('half'))]).toEqual([0x3c00, 0xc000, 0x3555]);
    const ints = await Promise.all(
      ['long', 'int', 'short', 'signed', 'byte', 'flag'].map((name) => file.readInts(name)),
    );
    expect(ints).toEqual([[-3, 76], [-7], [-300], [-8], [1, 2, 255], [0, 1]]);
  });

  it('converts a tensor larger than its chunks', async () => {
    const data = Uint16Array.from({ length: (1 << 20) + 3 }, (_, i) => (i % 1000) + 0x3f80);
    const file = await openSafetensors(
      bytesSource('x', encodeSafetensors([{ name: 'w', dtype: 'BF16', shape: [data.length], data }])),
    );
    const wide = await file.readFloat32('w');
    expect(wide).toHaveLength(data.length);
    const upperHalves = new Uint32Array(wide.buffer).map((bits) => bits >>> 16);
    expect(upperHalves.every((bits, i) => bits === data[i])).toBe(true);
  });

  it('writes the same bytes whatever the order it is given', () => {
    const bytes = encodeSafetensors(EXAMPLE, { a: '1', b: '2' });
    expect(encodeSafetensors([...EXAMPLE].reverse(), { b: '2', a: '1' })).toEqual(bytes);
    expect(new DataView(bytes.buffer).getUint32(0, true) % 8).toBe(0);
    expect(() => encodeSafetensors([EXAMPLE[0]!, EXAMPLE[0]!])).toThrow('Tensor names are unique');
    expect(() => encodeSafetensors([{ ...EXAMPLE[0]!, shape: [4] }])).toThrow('A tensor has the bytes of its shape');
  });

  it('reads no more than the header and what is asked for', async () => {
    const bytes = encodeSafetensors(EXAMPLE);
    const ranges: [number, number][] = [];
    const source: ByteSource = {
      ...bytesSource('x', bytes),
      read: async (start, end) => {
        ranges.push([start, end]);
        return bytes.slice(start, end);
      },
    };
    const file = await openSafetensors(source);
    const dataStart = ranges.at(-1)![1];
    expect(ranges).toEqual([
      [0, 8],
      [8, dataStart],
    ]);
    expect([...(await file.readBytes('byte', { start: 1, end: 3 }))]).toEqual([2, 255]);
    const [start, end] = ranges.at(-1)!;
    expect(end - start).toBe(2);
    expect(start).toBeGreaterThanOrEqual(dataStart);
  });

  it('reads bytes that a source hands out unaligned', async () => {
    const bytes = encodeSafetensors(EXAMPLE);
    const source: ByteSource = {
      name: 'x',
      size: bytes.length,
      read: async (start, end) => {
        const shifted = new Uint8Array(end - start + 1);
        shifted.set(bytes.subarray(start, end), 1);
        return shifted.subarray(1);
      },
    };
    expect([...(await (await openSafetensors(source)).readFloat32('single'))]).toEqual([Math.fround(0.1), -65504]);
  });

  it('reads a file of the reference implementation', async () => {
    const file = await fixtureSafetensors('sd15-tiny/model/text_encoder/model.fp16.safetensors');
    expect(file.info('text_model.embeddings.token_embedding.weight')).toMatchObject({
      dtype: 'F16',
      shape: [1514, 64],
    });
    expect(await file.readInts('text_model.embeddings.position_ids')).toEqual(Array.from({ length: 77 }, (_, i) => i));
  });

  it('says what is missing or of the wrong type', async () => {
    const file = await openSafetensors(bytesSource('a.safetensors', encodeSafetensors(EXAMPLE)));
    expect(() => file.info('absent')).toThrow('a.safetensors: it has no tensor "absent".');
    await expect(file.readFloat32('int')).rejects.toThrow(
      'its tensor "int" should hold floating-point numbers, but is I32',
    );
    await expect(file.readFloat16('byte')).rejects.toThrow('but is U8');
    await expect(file.readInts('half')).rejects.toThrow('its tensor "half" should hold integers, but is F16');
    const far = encodeSafetensors([{ name: 'n', dtype: 'I64', shape: [1], data: BigInt64Array.of(2n ** 60n) }]);
    await expect((await openSafetensors(bytesSource('b', far))).readInts('n')).rejects.toThrow(
      'holds integers beyond 2^53',
    );
  });
});

const F32 = (shape: string, start: number, end: number): string =>
  `{"dtype":"F32","shape":${shape},"data_offsets":[${start},${end}]}`;
const text = (...codes: number[]): Bytes => Uint8Array.from(codes);
const ascii = (s: string): Bytes => new TextEncoder().encode(s);

const MALFORMED: readonly (readonly [what: string, bytes: Bytes, reason: SafetensorsFault, message: string])[] = [
  ['an empty file', text(), 'truncated', 'it has only 0 bytes'],
  ['a file of 5 bytes', text(1, 0, 0, 0, 0), 'truncated', 'it has only 5 bytes'],
  [
    'a huge header',
    rawFile('{}', 0, 100_000_001n),
    'header-too-large',
    'its header claims 100000001 bytes, more than the limit',
  ],
  [
    'an absurd header',
    rawFile('{}', 0, 2n ** 64n - 1n),
    'header-too-large',
    'its header claims 18446744073709551615 bytes',
  ],
  ['a cut header', rawFile('{"a":', 0, 9n), 'truncated', 'it ends within its header, 4 bytes early'],
  ['no header', rawFile('', 0), 'bad-header', 'its header does not begin with {'],
  ['a header that starts with a space', rawFile(' {}', 0), 'bad-header', 'its header does not begin with {'],
  ['broken JSON', rawFile('{"a"}', 0), 'bad-header', 'its header is not valid JSON'],
  ['broken UTF-8', rawFile(text(0x7b, 0x22, 0xff, 0x22, 0x7d), 0), 'bad-header', 'its header is not valid JSON'],
  ['text after the header', rawFile('{} x', 0), 'bad-header', 'its header is not valid JSON'],
  [
    'one name twice',
    rawFile(`{"a":${F32('[1]', 0, 4)},"a":${F32('[1]', 0, 4)}}`, 4),
    'duplicate-key',
    'its header has the key "a" twice',
  ],
  [
    'one name twice, escaped',
    rawFile(`{"a":${F32('[1]', 0, 4)},"\\u0061":${F32('[1]', 4, 8)}}`, 8),
    'duplicate-key',
    'its header has the key "a" twice',
  ],
  [
    'metadata that is a list',
    rawFile('{"__metadata__":[]}', 0),
    'bad-metadata',
    'its __metadata__ is not a JSON object',
  ],
  [
    'metadata that is no text',
    rawFile('{"__metadata__":{"n":1}}', 0),
    'bad-metadata',
    'its metadata "n" is not a string but 1',
  ],
  ['a tensor that is null', rawFile('{"a":null}', 0), 'bad-tensor', 'its tensor "a" is described by null'],
  [
    'an unknown field',
    rawFile(`{"a":${F32('[1]', 0, 4).replace('{', '{"x":1,')}}`, 4),
    'bad-tensor',
    'has the unknown field "x"',
  ],
  ['no dtype', rawFile('{"a":{"shape":[1],"data_offsets":[0,4]}}', 4), 'bad-tensor', 'has the type undefined'],
  [
    'fp8',
    rawFile('{"a":{"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]}}', 4),
    'unsupported-dtype',
    'has the type "F8_E4M3", which Loratory cannot read',
  ],
  [
    'a dtype of the prototype',
    rawFile('{"a":{"dtype":"toString","shape":[4],"data_offsets":[0,4]}}', 4),
    'unsupported-dtype',
    '"toString"',
  ],
  ['a negative size', rawFile(`{"a":${F32('[-1]', 0, 4)}}`, 4), 'bad-tensor', 'has the shape [-1]'],
  ['a fractional size', rawFile(`{"a":${F32('[0.5]', 0, 4)}}`, 4), 'bad-tensor', 'has the shape [0.5]'],
  [
    'an overflowing size',
    rawFile(`{"a":${F32('[4294967296,4294967296]', 0, 4)}}`, 4),
    'bad-tensor',
    'whose size overflows',
  ],
  [
    'three offsets',
    rawFile('{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,2]}}', 2),
    'bad-tensor',
    'has the offsets [0,1,2]',
  ],
  ['falling offsets', rawFile(`{"a":${F32('[1]', 4, 0)}}`, 4), 'size-mismatch', 'has -4 bytes, but F32 [1] takes 4'],
  [
    'too few bytes for the shape',
    rawFile(`{"a":${F32('[2]', 0, 4)}}`, 4),
    'size-mismatch',
    'has 4 bytes, but F32 [2] takes 8',
  ],
  [
    'a gap',
    rawFile(`{"a":${F32('[1]', 0, 4)},"b":${F32('[1]', 8, 12)}}`, 12),
    'not-contiguous',
    'its tensor "b" leaves a gap before it',
  ],
  [
    'a gap at the start',
    rawFile(`{"a":${F32('[1]', 4, 8)}}`, 8),
    'not-contiguous',
    'its tensor "a" leaves a gap before it',
  ],
  [
    'an overlap',
    rawFile(`{"a":${F32('[2]', 0, 8)},"b":${F32('[1]', 4, 8)}}`, 8),
    'not-contiguous',
    'its tensor "b" overlaps the one before it',
  ],
  [
    'missing data',
    rawFile(`{"a":${F32('[2]', 0, 8)}}`, 5),
    'truncated',
    'it ends early: 3 bytes of its tensors are missing',
  ],
  [
    'bytes at the end',
    rawFile(`{"a":${F32('[2]', 0, 8)}}`, 9),
    'trailing-bytes',
    '1 bytes after its tensors belong to none',
  ],
  [
    'a zip',
    ascii('PK\x03\x04 and then a PyTorch checkpoint'),
    'not-safetensors',
    'it is a zip archive (perhaps a PyTorch .ckpt or .bin)',
  ],
  [
    'a pickle',
    Uint8Array.from([0x80, 2, 0x7d, 0x71, 0, 0x28, 0x58, 0x0d, 0, 0]),
    'not-safetensors',
    'it is a Python pickle',
  ],
  ['a web page', ascii('<!DOCTYPE html><html>'), 'not-safetensors', 'it is a web page'],
  [
    'a Git LFS pointer',
    ascii('version https://git-lfs.github.com/spec/v1\n'),
    'not-safetensors',
    'it is a Git LFS pointer',
  ],
];

/** Opens a file and reads every tensor whole. */
async function readAll(source: ByteSource): Promise<'read'> {
  const file = await openSafetensors(source);
  for (const name of file.names()) expect(await file.readBytes(name)).toHaveLength(file.info(name).byteLength);
  return 'read';
}

describe('malformed safetensors', () => {
  it.each(MALFORMED)('refuses %s', async (_what, bytes, reason, message) => {
    const error = await refusal(bytes);
    expect(error.reason).toBe(reason);
    expect(error.message).toContain('a.safetensors: ');
    expect(error.message).toContain(message);
    expect(error.remedy).not.toBe('');
  });

  it.each([
    ['truncated', 'truncated'],
    ['header_absurd', 'header-too-large'],
  ])("refuses the oracle's %s file", async (name, reason) => {
    expect((await refusal(fixtureBytes(`sd15-tiny/lora/bad/${name}.safetensors`))).reason).toBe(reason);
  });

  it('does not mistake header lengths for the start of other formats', async () => {
    // 0x480 bytes of header: the file begins with 80 04, as a pickle does.
    const file = rawFile(`{}${' '.repeat(0x480 - 2)}`, 0);
    expect(file.slice(0, 2)).toEqual(Uint8Array.of(0x80, 4));
    expect((await openSafetensors(bytesSource('x', file))).names()).toEqual([]);
  });

  it('takes names that are dangerous as object keys', async () => {
    const file = rawFile(
      `{"__metadata__":{"__proto__":"m"},"__proto__":${F32('[1]', 0, 4)},"constructor":${F32('[1]', 4, 8)}}`,
      8,
    );
    const opened = await openSafetensors(bytesSource('x', file));
    expect(opened.names()).toEqual(['__proto__', 'constructor']);
    expect(opened.has('toString')).toBe(false);
    expect(Object.keys(opened.metadata)).toEqual(['__proto__']);
  });

  it('finds duplicate keys at any depth and nowhere else', () => {
    expect(findDuplicateKey('{"a":{"b":1,"c":[{"d":1,"d":2}]}}')).toBe('d');
    expect(findDuplicateKey('{"a":{"a":["a","a",{"a":"a"}]},"b":"\\"a\\\\"}')).toBeUndefined();
    expect(findDuplicateKey('{"a\\\\":"x","a":"y","b":"\\"","a":1}')).toBe('a');
  });

  it('accepts or refuses 2,000 mutated files, and reads all of what it accepts', async () => {
    const original = encodeSafetensors(EXAMPLE, { title: 'x' });
    const headerEnd = 8 + new DataView(original.buffer).getUint32(0, true);
    const random = new TorchGenerator(2024);
    const below = (n: number): number => random.random() % n;
    const digits = ascii('0123456789-."{}[],:\\ eE');
    let accepted = 0;
    for (let round = 0; round < 2000; round++) {
      let bytes = original.slice();
      for (let edits = 1 + below(3); edits > 0; edits--) {
        const at = below(Math.min(headerEnd, bytes.length));
        const kind = below(5);
        if (kind === 0) bytes[at] = below(256);
        else if (kind === 1) bytes[at] = digits[below(digits.length)]!;
        else if (kind === 2) bytes = bytes.slice(0, 8 + below(bytes.length));
        else if (kind === 3) bytes.copyWithin(at, below(bytes.length), below(bytes.length));
        else bytes[at] = bytes[at]! ^ (1 << below(8));
      }
      const source = bytesSource('mutant', bytes);
      const outcome: unknown = await readAll(source).catch((error: unknown) => error);
      expect(outcome === 'read' || outcome instanceof SafetensorsError, `round ${round}: ${String(outcome)}`).toBe(
        true,
      );
      if (outcome === 'read') accepted++;
    }
    // Edits within names and metadata leave a valid file; most others do not.
    expect(accepted).toBeGreaterThan(100);
    expect(accepted).toBeLessThan(1500);
  });
});

function treeOf(files: Readonly<Record<string, Bytes>>): FileTree {
  return {
    name: 'someone/model',
    list: () => Object.keys(files).sort(),
    has: (path) => Object.hasOwn(files, path),
    open: async (path) => bytesSource(path, files[path]!),
  };
}

describe('the weights of a component', () => {
  const weights = (value: number, name = 'w'): Bytes =>
    encodeSafetensors([{ name, dtype: 'F32', shape: [1], data: Float32Array.of(value) }]);
  const index = (map: Record<string, unknown>): Bytes => ascii(JSON.stringify({ metadata: {}, weight_map: map }));
  const BASE = 'unet/diffusion_pytorch_model';

  it.each([
    [[`${BASE}.safetensors`, `${BASE}.fp16.safetensors`, `${BASE}.non_ema.safetensors`], `${BASE}.fp16.safetensors`],
    [[`${BASE}.safetensors`, `${BASE}.non_ema.safetensors`], `${BASE}.safetensors`],
    [[`${BASE}.non_ema.safetensors`], `${BASE}.non_ema.safetensors`],
    [[`unet/model.safetensors`, 'vae/model.fp16.safetensors'], 'unet/model.safetensors'],
  ])('out of %j is %s', async (paths, chosen) => {
    const tree = treeOf(Object.fromEntries(paths.map((path) => [path, weights(path === chosen ? 1 : 2)])));
    expect((await (await openModelWeights(tree, 'unet')).readFloat32('w'))[0]).toBe(1);
    expect(weightPaths(tree, 'unet')).toEqual([chosen]);
  });

  it('may lie in shards', async () => {
    const tree = treeOf({
      [`${BASE}.safetensors.index.json`]: index({
        a: 'diffusion_pytorch_model-00001-of-00002.safetensors',
        b: 'diffusion_pytorch_model-00002-of-00002.safetensors',
      }),
      [`${BASE}-00001-of-00002.safetensors`]: weights(1, 'a'),
      [`${BASE}-00002-of-00002.safetensors`]: weights(2, 'b'),
    });
    const file = await openModelWeights(tree, 'unet');
    expect(file.names()).toEqual(['a', 'b']);
    expect((await file.readFloat32('b'))[0]).toBe(2);
    expect(() => file.info('c')).toThrow(SafetensorsError);
    expect(weightPaths(tree, 'unet')).toHaveLength(3);
  });

  it.each([
    ['an index without a map', { [`${BASE}.safetensors.index.json`]: ascii('{}') }, 'names no weights'],
    [
      'a path out of the folder',
      { [`${BASE}.safetensors.index.json`]: index({ a: '../x.safetensors' }) },
      'which is no file beside it',
    ],
    [
      'a missing shard',
      { [`${BASE}.safetensors.index.json`]: index({ a: 's.safetensors' }) },
      'names the shard s.safetensors, which is missing',
    ],
    [
      'a shard without the tensor',
      { [`${BASE}.safetensors.index.json`]: index({ a: 's.safetensors' }), 'unet/s.safetensors': weights(1) },
      'puts a into s.safetensors, which does not have it',
    ],
  ] as const)('refuses %s', async (_what, files, message) => {
    const opening = openModelWeights(treeOf(files), 'unet');
    await expect(opening).rejects.toThrow(ShardIndexError);
    await expect(opening).rejects.toThrow(message);
  });

  it('says so where there are none, and why pickles do not count', async () => {
    await expect(openModelWeights(treeOf({}), 'unet')).rejects.toThrow(NoModelWeightsError);
    await expect(openModelWeights(treeOf({}), 'unet')).rejects.toThrow(
      'someone/model has no UNet weights in safetensors form (looked in unet/).',
    );
    await expect(openModelWeights(treeOf({ [`${BASE}.bin`]: text() }), 'unet')).rejects.toThrow(
      'It has them only as pickles (unet/diffusion_pytorch_model.bin), which Loratory refuses, because reading a pickle runs whatever program is in it.',
    );
  });
});
