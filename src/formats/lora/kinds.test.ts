/**
 * Plan: files of every kind beside plain LoRA (LoCon with and without mid, LoHa and LoKr with and without their cores, DoRA along both
 * axes, full differences with biases), made here tensor by tensor; what is read does what the kind's formula, written out as sums over
 * indices, says. What is written is read back with the same effect. Shapes that cannot be are refused by name.
 */
import { describe, expect, it } from 'vitest';
import { expectClose } from '../../../tools/testing.ts';
import { bytesSource } from '../../core/files.ts';
import { encodeSafetensors, openSafetensors, type TensorToWrite } from '../safetensors.ts';
import { writeKohyaLora } from './kohya.ts';
import { asWeightChange, denseChange } from './products.ts';
import { readLora } from './readLora.ts';
import { type KnownModule, type LoraFile, LoraFileError, type WeightChange } from './types.ts';

const LINEAR: KnownModule = {
  module: 'mid_block.attentions.0.proj_in',
  target: 'unet',
  inFeatures: 6,
  outFeatures: 8,
  kernelSize: 1,
};
const CONV: KnownModule = {
  module: 'mid_block.resnets.0.conv1',
  target: 'unet',
  inFeatures: 6,
  outFeatures: 8,
  kernelSize: 3,
};
const known = [LINEAR, CONV];
const [linear, conv] = ['lora_unet_mid_block_attentions_0_proj_in', 'lora_unet_mid_block_resnets_0_conv1'];

/** A tensor with values that differ everywhere, and a reader of them by indices. */
class Made {
  readonly values: Float32Array;

  constructor(
    readonly name: string,
    readonly shape: readonly number[],
  ) {
    const size = shape.reduce((a, b) => a * b, 1);
    const seed = Array.from(name).reduce((sum, c) => (sum * 31 + c.charCodeAt(0)) % 9973, 7);
    this.values = Float32Array.from({ length: size }, (_, i) => Math.sin(seed + i * 1.7) / 2);
  }

  at(...indices: number[]): number {
    return this.values[indices.reduce((flat, index, axis) => flat * this.shape[axis]! + index, 0)]!;
  }

  get tensor(): TensorToWrite {
    return { name: this.name, dtype: 'F32', shape: this.shape, data: this.values };
  }
}

const alpha = (name: string, value: number): TensorToWrite => ({
  name: `${name}.alpha`,
  dtype: 'F32',
  shape: [],
  data: Float32Array.of(value),
});

const read = async (tensors: readonly TensorToWrite[]): Promise<LoraFile> =>
  readLora(await openSafetensors(bytesSource('x', encodeSafetensors(tensors))), known);

/** The only change of a file, and the same after writing and reading again. */
async function changes(tensors: readonly TensorToWrite[]): Promise<WeightChange[]> {
  const once = await read(tensors);
  const bytes = writeKohyaLora(once.modules, {}, 'F32', once.changes);
  const twice = await readLora(await openSafetensors(bytesSource('written', bytes)), known);
  return [once, twice].map((lora) => {
    expect(lora.unmatched).toEqual([]);
    expect(lora.modules.length + lora.changes.length).toBe(1);
    return lora.changes[0] ?? asWeightChange(lora.modules[0]!);
  });
}

/** Reads without knowing the layer's sizes, as reports on files do. */
const readUnsized = async (tensors: readonly TensorToWrite[]): Promise<LoraFile> =>
  readLora(await openSafetensors(bytesSource('x', encodeSafetensors(tensors))), [CONV.module]);

describe('factors that multiply to more than any layer has', () => {
  const made = (part: string, shape: readonly number[]): TensorToWrite => new Made(`${conv}.${part}`, shape).tensor;

  it.each<[string, readonly TensorToWrite[]]>([
    ['LoRA', [made('lora_down.weight', [1, 30_000]), made('lora_up.weight', [30_000, 1])]],
    [
      'LoCon with mid',
      [
        made('lora_down.weight', [1, 30_000, 1, 1]),
        made('lora_mid.weight', [30_000, 1, 1, 1]),
        made('lora_up.weight', [1, 30_000, 1, 1]),
      ],
    ],
    [
      'LoHa',
      [
        made('hada_w1_a', [30_000, 1]),
        made('hada_w1_b', [1, 30_000]),
        made('hada_w2_a', [30_000, 1]),
        made('hada_w2_b', [1, 30_000]),
      ],
    ],
    ['LoKr', [made('lokr_w1', [2, 2]), made('lokr_w2_a', [30_000, 1]), made('lokr_w2_b', [1, 30_000])]],
  ])('%s is refused before there is memory for it', async (_kind, tensors) => {
    await expect(readUnsized(tensors)).rejects.toMatchObject({
      code: 'lora-file',
      message: expect.stringMatching(/makes \d+ values, more than any layer has\.$/) as string,
    });
  });
});

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
const sum = (n: number, f: (i: number) => number): number => range(n).reduce((total, i) => total + f(i), 0);

/** f(output, input, tap) for every number of the layer's weight. */
function dense(
  { outFeatures = 0, inFeatures = 0, kernelSize = 0 }: KnownModule,
  f: (o: number, i: number, t: number) => number,
): number[] {
  return range(outFeatures).flatMap((o) =>
    range(inFeatures).flatMap((i) => range(kernelSize ** 2).map((t) => f(o, i, t))),
  );
}

async function expectChange(
  tensors: readonly TensorToWrite[],
  layer: KnownModule,
  f: (o: number, i: number, t: number) => number,
): Promise<void> {
  for (const change of await changes(tensors)) expectClose(denseChange(change), dense(layer, f), 1e-6);
}

describe('kinds of adapters', () => {
  it('LoCon: a 3x3 down, a 1x1 up', async () => {
    const down = new Made(`${conv}.lora_down.weight`, [2, 6, 3, 3]);
    const up = new Made(`${conv}.lora_up.weight`, [8, 2, 1, 1]);
    await expectChange(
      [down.tensor, up.tensor, alpha(conv, 1)],
      CONV,
      (o, i, t) => 0.5 * sum(2, (r) => up.at(o, r, 0, 0) * down.at(r, i, Math.floor(t / 3), t % 3)),
    );
  });

  it('LoCon with lora_mid', async () => {
    const down = new Made(`${conv}.lora_down.weight`, [2, 6, 1, 1]);
    const mid = new Made(`${conv}.lora_mid.weight`, [2, 2, 3, 3]);
    const up = new Made(`${conv}.lora_up.weight`, [8, 2, 1, 1]);
    await expectChange(
      [down.tensor, mid.tensor, up.tensor, alpha(conv, 3)],
      CONV,
      (o, i, t) =>
        1.5 *
        sum(2, (r) => up.at(o, r, 0, 0) * sum(2, (s) => mid.at(r, s, Math.floor(t / 3), t % 3) * down.at(s, i, 0, 0))),
    );
  });

  it('LoHa, on a linear layer and on a convolution', async () => {
    const pair = (layer: string, n: number, columns: number): [Made, Made] => [
      new Made(`${layer}.hada_w${n}_a`, [8, 3]),
      new Made(`${layer}.hada_w${n}_b`, [3, columns]),
    ];
    for (const [layer, module, columns] of [
      [linear, LINEAR, 6],
      [conv, CONV, 54],
    ] as const) {
      const [a1, b1] = pair(layer, 1, columns);
      const [a2, b2] = pair(layer, 2, columns);
      const taps = columns / 6;
      await expectChange(
        [a1, b1, a2, b2].map((made) => made.tensor).concat(alpha(layer, 6)),
        module,
        (o, i, t) =>
          2 * sum(3, (r) => a1.at(o, r) * b1.at(r, i * taps + t)) * sum(3, (r) => a2.at(o, r) * b2.at(r, i * taps + t)),
      );
    }
  });

  it('LoHa with cores: "i j k l, j r, i p -> p r k l" of t, b, a', async () => {
    const parts = [1, 2].map((n) => ({
      t: new Made(`${conv}.hada_t${n}`, [2, 2, 3, 3]),
      a: new Made(`${conv}.hada_w${n}_a`, [2, 8]),
      b: new Made(`${conv}.hada_w${n}_b`, [2, 6]),
    }));
    const tensors = parts.flatMap(({ t, a, b }) => [t.tensor, a.tensor, b.tensor]);
    await expectChange(tensors, CONV, (o, i, tap) =>
      parts
        .map(({ t, a, b }) =>
          sum(2, (p) => sum(2, (q) => a.at(p, o) * t.at(p, q, Math.floor(tap / 3), tap % 3) * b.at(q, i))),
        )
        .reduce((x, y) => x * y),
    );
  });

  it('LoKr: whole factors do not know alpha; products do', async () => {
    const w1 = new Made(`${linear}.lokr_w1`, [2, 3]);
    const w2 = new Made(`${linear}.lokr_w2`, [4, 2]);
    const kron = (o: number, i: number, right: (o: number, i: number) => number): number =>
      w1.at(Math.floor(o / 4), Math.floor(i / 2)) * right(o % 4, i % 2);
    await expectChange([w1.tensor, w2.tensor, alpha(linear, 5)], LINEAR, (o, i) => kron(o, i, (p, q) => w2.at(p, q)));
    const [a, b] = [new Made(`${linear}.lokr_w2_a`, [4, 2]), new Made(`${linear}.lokr_w2_b`, [2, 2])];
    await expectChange([w1.tensor, a.tensor, b.tensor, alpha(linear, 5)], LINEAR, (o, i) =>
      kron(o, i, (p, q) => 2.5 * sum(2, (r) => a.at(p, r) * b.at(r, q))),
    );
  });

  it('LoKr on convolutions: whole, as a product, with a core', async () => {
    const [w1a, w1b] = [new Made(`${conv}.lokr_w1_a`, [2, 1]), new Made(`${conv}.lokr_w1_b`, [1, 3])];
    const kron = (o: number, i: number, right: (o: number, i: number) => number): number =>
      w1a.at(Math.floor(o / 4), 0) * w1b.at(0, Math.floor(i / 2)) * right(o % 4, i % 2);
    const whole = new Made(`${conv}.lokr_w2`, [4, 2, 3, 3]);
    const left = [w1a.tensor, w1b.tensor];
    await expectChange([...left, whole.tensor], CONV, (o, i, t) =>
      kron(o, i, (p, q) => whole.at(p, q, Math.floor(t / 3), t % 3)),
    );
    const [a, b] = [new Made(`${conv}.lokr_w2_a`, [4, 2]), new Made(`${conv}.lokr_w2_b`, [2, 18])];
    await expectChange([...left, a.tensor, b.tensor, alpha(conv, 1)], CONV, (o, i, t) =>
      kron(o, i, (p, q) => 0.5 * sum(2, (r) => a.at(p, r) * b.at(r, q * 9 + t))),
    );
    const [core, ca, cb] = [
      new Made(`${conv}.lokr_t2`, [2, 2, 3, 3]),
      new Made(`${conv}.lokr_w2_a`, [2, 4]),
      new Made(`${conv}.lokr_w2_b`, [2, 2]),
    ];
    await expectChange([...left, core.tensor, ca.tensor, cb.tensor], CONV, (o, i, t) =>
      kron(o, i, (p, q) =>
        sum(2, (r) => sum(2, (s) => ca.at(r, p) * core.at(r, s, Math.floor(t / 3), t % 3) * cb.at(s, q))),
      ),
    );
  });

  it.each(['output', 'input'] as const)('DoRA: magnitudes, one an %s', async (axis) => {
    const down = new Made(`${conv}.lora_down.weight`, [2, 6, 3, 3]);
    const up = new Made(`${conv}.lora_up.weight`, [8, 2, 1, 1]);
    const scale = new Made(`${conv}.dora_scale`, axis === 'output' ? [8, 1, 1, 1] : [1, 6, 1, 1]);
    const base = Float32Array.from({ length: 8 * 54 }, (_, i) => Math.cos(i * 2.3));
    const whole = (o: number, i: number, t: number): number =>
      base[(o * 6 + i) * 9 + t]! + sum(2, (r) => up.at(o, r, 0, 0) * down.at(r, i, Math.floor(t / 3), t % 3));
    const norm = (o: number, i: number): number =>
      Math.sqrt(
        axis === 'output'
          ? sum(6, (j) => sum(9, (t) => whole(o, j, t) ** 2))
          : sum(8, (p) => sum(9, (t) => whole(p, i, t) ** 2)),
      );
    const expected = dense(
      CONV,
      (o, i, t) =>
        (scale.values[axis === 'output' ? o : i]! * whole(o, i, t)) / norm(o, i) - base[(o * 6 + i) * 9 + t]!,
    );
    for (const change of await changes([down.tensor, up.tensor, scale.tensor]))
      expectClose(denseChange(change, base), expected, 1e-6);
  });

  it('DoRA: a row of zeros stays one', async () => {
    const down = new Made(`${conv}.lora_down.weight`, [2, 6, 3, 3]);
    const up = { ...new Made(`${conv}.lora_up.weight`, [8, 2, 1, 1]).tensor, data: new Float32Array(16) };
    const scale = new Made(`${conv}.dora_scale`, [8, 1, 1, 1]);
    for (const change of await changes([down.tensor, up, scale.tensor]))
      expect(denseChange(change, new Float32Array(8 * 54)).every((value) => value === 0)).toBe(true);
  });

  it('DoRA as PEFT names it: a vector, one an output, even where the layer is square', async () => {
    const path = 'base_model.model.mid_block.attentions.0.proj_in';
    const tensors = [
      new Made(`${path}.lora_A.weight`, [2, 6]),
      new Made(`${path}.lora_B.weight`, [8, 2]),
      new Made(`${path}.lora_magnitude_vector`, [8]),
    ];
    const { form, changes: found } = await read(tensors.map((made) => made.tensor));
    expect(form).toBe('peft');
    expect(found[0]?.magnitude).toEqual({ axis: 'output', values: tensors[2]!.values });
  });

  it('full differences, with and without a bias', async () => {
    const diff = new Made(`${conv}.diff`, [8, 6, 3, 3]);
    const bias = new Made(`${conv}.diff_b`, [8]);
    await expectChange([diff.tensor, bias.tensor], CONV, (o, i, t) => diff.at(o, i, Math.floor(t / 3), t % 3));
    for (const change of await changes([diff.tensor, bias.tensor])) expect(change.bias).toEqual(bias.values);
    for (const change of await changes([new Made(`${linear}.diff_b`, [8]).tensor])) expect(change.delta).toBeNull();
  });

  it.each<[string, readonly [string, number[]][], string]>([
    [
      'a kernel of another size',
      [
        ['lora_down.weight', [2, 6, 5, 5]],
        ['lora_up.weight', [8, 2, 1, 1]],
      ],
      'has a kernel of 5 x 5, but the layer one of 3 x 3',
    ],
    [
      'a mid of another rank',
      [
        ['lora_down.weight', [2, 6, 1, 1]],
        ['lora_mid.weight', [2, 4, 3, 3]],
        ['lora_up.weight', [8, 2, 1, 1]],
      ],
      'has the shapes [2, 6, 1, 1] and [2, 4, 3, 3] and',
    ],
    [
      'half a LoHa',
      [
        ['hada_w1_a', [8, 2]],
        ['hada_w1_b', [2, 54]],
      ],
      'lacks the hada_w2_a',
    ],
    [
      'a LoHa of two sizes',
      [
        ['hada_w1_a', [8, 2]],
        ['hada_w1_b', [2, 54]],
        ['hada_w2_a', [8, 2]],
        ['hada_w2_b', [2, 27]],
      ],
      'has two products of different sizes',
    ],
    [
      'a LoKr for another layer',
      [
        ['lokr_w1', [2, 2]],
        ['lokr_w2', [4, 2, 3, 3]],
      ],
      'takes 4 inputs, but the layer has 6',
    ],
    [
      'a LoKr factor larger than the layer',
      [
        ['lokr_w1', [2, 2]],
        ['lokr_w2_a', [400, 1]],
        ['lokr_w2_b', [1, 900]],
      ],
      'has the factor lokr_w2 of 400 rows',
    ],
    [
      'magnitudes for another layer',
      [
        ['lora_down.weight', [2, 6, 3, 3]],
        ['lora_up.weight', [8, 2, 1, 1]],
        ['dora_scale', [7, 1, 1, 1]],
      ],
      'has magnitudes of shape [7, 1, 1, 1]',
    ],
    ['a difference for another layer', [['diff', [8, 6]]], 'has a diff of shape [8, 6]'],
    [
      'a bias for another layer',
      [
        ['diff', [8, 6, 3, 3]],
        ['diff_b', [4]],
      ],
      'has a diff_b of shape [4]',
    ],
  ])('refuses %s', async (_what, parts, message) => {
    const error: unknown = await read(parts.map(([part, shape]) => new Made(`${conv}.${part}`, shape).tensor)).catch(
      (e: unknown) => e,
    );
    expect(error).toBeInstanceOf(LoraFileError);
    expect((error as LoraFileError).message).toContain(message);
    expect((error as LoraFileError).facts['key']).toBe(conv);
  });
});
