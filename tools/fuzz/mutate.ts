/** Small random changes to files, always the same for a seed: what damage, malice and other programs' mistakes look like. */
import type { Draw } from './draw.ts';

/** Words that readers look for, put where others stand. */
const WORDS = [
  '"F32"',
  '"F16"',
  '"I64"',
  '"BOOL"',
  '"F8"',
  '"shape"',
  '"data_offsets"',
  '"dtype"',
  '"__metadata__"',
  '.alpha',
  '.lora_up.weight',
  '.lora_down.weight',
  '.lora_mid.weight',
  '.hada_w1_a',
  '.hada_t1',
  '.lokr_w1',
  '.lokr_w2_b',
  '.lokr_t2',
  '.dora_scale',
  '.diff',
  '.diff_b',
  '[0,0]',
  '[1,1,1,1]',
  '[9007199254740991]',
  '[-1]',
  '1e999',
  '{}',
  '[]',
  'null',
  'tEXt',
  'zTXt',
  'iTXt',
  'IEND',
  'IHDR',
  'parameters\0',
];

type Mutation = (bytes: Uint8Array, draw: Draw) => Uint8Array;

function splice(bytes: Uint8Array, at: number, remove: number, insert: Uint8Array): Uint8Array {
  const out = new Uint8Array(bytes.length - remove + insert.length);
  out.set(bytes.subarray(0, at));
  out.set(insert, at);
  out.set(bytes.subarray(at + remove), at + insert.length);
  return out;
}

function changed(bytes: Uint8Array, change: (copy: Uint8Array) => void): Uint8Array {
  const copy = bytes.slice();
  change(copy);
  return copy;
}

/** A place in the file, more often than not near its beginning, where headers are. */
function place(bytes: Uint8Array, draw: Draw): number {
  return draw(2) === 0 ? draw(bytes.length) : draw(Math.min(bytes.length, 2048));
}

const mutations: readonly Mutation[] = [
  (bytes, draw) => changed(bytes, (copy) => (copy[place(copy, draw)]! ^= 1 << draw(8))),
  (bytes, draw) => changed(bytes, (copy) => (copy[place(copy, draw)] = [0, 1, 0x7f, 0x80, 0xff][draw(5)]!)),
  (bytes, draw) => changed(bytes, (copy) => copy.fill(draw(256), place(copy, draw), place(copy, draw))),
  (bytes, draw) => bytes.slice(0, draw(bytes.length)),
  (bytes, draw) => splice(bytes, bytes.length, 0, new Uint8Array(draw(64)).fill(draw(256))),
  (bytes, draw) => {
    const at = place(bytes, draw);
    return splice(bytes, at, Math.min(draw(32), bytes.length - at), new Uint8Array(0));
  },
  (bytes, draw) => {
    const at = place(bytes, draw);
    return splice(bytes, at, 0, bytes.slice(at, at + draw(64)));
  },
  (bytes, draw) => changed(bytes, (copy) => copy.copyWithin(place(copy, draw), place(copy, draw), place(copy, draw))),
  // The length of a header or a chunk.
  (bytes, draw) =>
    changed(bytes, (copy) => copy.set([draw(256), draw(256), draw(3), 0, 0, 0, 0, 0].slice(0, copy.length))),
  // A digit of the header's JSON.
  (bytes, draw) =>
    changed(bytes, (copy) => {
      const start = place(copy, draw);
      const at = copy.findIndex((byte, i) => i >= start && byte >= 0x30 && byte <= 0x39);
      if (at >= 0) copy[at] = 0x30 + draw(10);
    }),
  (bytes, draw) => {
    const word = new TextEncoder().encode(WORDS[draw(WORDS.length)]);
    const at = place(bytes, draw);
    return splice(bytes, at, draw(2) === 0 ? 0 : Math.min(word.length, bytes.length - at), word);
  },
];

/** One to four changes. */
export function mutate(bytes: Uint8Array, draw: Draw): Uint8Array {
  let out = bytes;
  for (let left = 1 + draw(4); left > 0 && out.length > 0; left--) out = mutations[draw(mutations.length)]!(out, draw);
  return out;
}
