/**
 * AdamW with moments in 8 bits (Dettmers et al. 2021, "8-bit Optimizers via Block-wise Quantization"), as bitsandbytes' AdamW8bit: blocks
 * of 256 values with their largest as the scale, and codes that are dense near zero (`create_dynamic_map`). Unlike there, small
 * parameters are kept in 8 bits too (a LoRA has few others), and a mean square above 0 keeps a code above 0. A quarter of AdamW's state.
 */
import shader from '../../../shaders/adamw8bit.wgsl?raw';
import { tensor } from '@tensorflow/tfjs-core';
import { cpuValues, defineKernel, dispatch, type Tensor, type TensorInfo } from '../runtime.ts';
import { adamHyper, adamUpdate, type AdamWStep } from './adamw.ts';
import { flatGrid } from './grid.ts';
import { pageBlock, type ParameterPage, type StepReport } from './parameterPage.ts';

/** 32-bit words of a block's state: 256 codes of m, 256 of v, two scales. */
const wordsPerBlock = 130;

/**
 * What the 256 codes mean, ascending, from -1 (or 0) to 1: seven decades, each with twice as many steps as the one below, between
 * whose tenths and whose whole the codes lie evenly (bitsandbytes/functional.py, `create_dynamic_map`).
 */
export function dynamicMap(signed: boolean): Float32Array<ArrayBuffer> {
  const decades = 7;
  const values = [0, 1];
  for (let i = 0; i < decades; i++) {
    const steps = 2 ** (signed ? i : i + 1);
    const decade = 10 ** (i - decades + 1);
    for (let k = 0; k < steps; k++) {
      const value = decade * (0.1 + (0.9 * (k + 0.5)) / steps);
      values.push(value);
      if (signed) values.push(-value);
    }
  }
  return Float32Array.from(values).sort();
}

const maps = new Float32Array(512);
maps.set(dynamicMap(true));
maps.set(dynamicMap(false), 256);

/** The first state of a page: all moments zero. An int32 tensor, whose bits are read as words. */
export function createAdamW8bitState({ values }: ParameterPage): Tensor {
  const blocks = values.size / pageBlock;
  const zeros = [0, 256].map((first) => maps.subarray(first, first + 256).indexOf(0));
  const words = new Int32Array(blocks * wordsPerBlock);
  for (let block = 0; block < blocks; block++) {
    zeros.forEach((code, moment) => {
      const at = block * wordsPerBlock + 64 * moment;
      words.fill(code * 0x01010101, at, at + 64);
    });
  }
  return tensor(words, [words.length], 'int32');
}

type Names = 'values' | 'state' | 'gradients' | 'factors' | 'report' | 'hyper' | 'meanings';

const run = defineKernel<Readonly<Record<Names, TensorInfo>>, { readonly blocks: number }>({
  name: 'AdamW8bit',
  webgpu: ({ values, state, gradients, factors, report, hyper, meanings }, { blocks }) => {
    dispatch({
      shader,
      label: 'adamw8bit',
      outputs: [values, state],
      inputs: [gradients, factors, report, hyper, meanings],
      uniforms: [blocks],
      workgroups: flatGrid(blocks, 1),
    });
    return [];
  },
  cpu: (inputs, { blocks }) => {
    const [values, gradients, factors] = [inputs.values, inputs.gradients, inputs.factors].map(cpuValues);
    const [words, hyper, scale] = [cpuValues(inputs.state), cpuValues(inputs.hyper), cpuValues(inputs.report)[0]!];
    if (scale === 0) return [];
    const codes = new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
    const floats = new Float32Array(words.buffer, words.byteOffset, words.length);
    const block = { m: new Float32Array(pageBlock), v: new Float32Array(pageBlock) };
    for (let b = 0; b < blocks; b++) {
      const at = b * wordsPerBlock;
      const [scaleM, scaleV] = [floats[at + 128]!, floats[at + 129]!];
      for (let k = 0; k < pageBlock; k++) {
        const i = b * pageBlock + k;
        const before = { m: maps[codes[4 * at + k]!]! * scaleM, v: maps[256 + codes[4 * at + 256 + k]!]! * scaleV };
        const { m, v, step } = adamUpdate(hyper, before.m, before.v, gradients![i]! * scale);
        values![i] = (1 - factors![b]! * hyper[0]!) * values![i]! - factors![b]! * step;
        block.m[k] = m;
        block.v[k] = v;
      }
      (['m', 'v'] as const).forEach((moment, which) => {
        const largest = block[moment].reduce((most, value) => Math.max(most, Math.abs(value)), 0);
        block[moment].forEach((value, k) => {
          const code = nearest(largest > 0 ? Math.fround(value / largest) : 0, which * 256);
          // A v above 0 never becomes 0: m would be divided by epsilon alone.
          codes[4 * at + 256 * which + k] = which === 1 && value > 0 ? Math.max(1, code) : code;
        });
        floats[at + 128 + which] = largest;
      });
    }
    return [];
  },
});

/** The code whose meaning is nearest; the lower one of two that are as near. */
function nearest(share: number, first: number): number {
  let [low, high] = [0, 255];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (maps[first + middle]! <= share) low = middle;
    else high = middle;
  }
  return maps[first + high]! - share < share - maps[first + low]! ? high : low;
}

/** One step in place. `state` is of {@link createAdamW8bitState}. */
export function adamw8bitStep(page: ParameterPage, state: Tensor, report: StepReport, options: AdamWStep): void {
  const hyper = tensor(Float32Array.from(adamHyper(options)));
  const meanings = tensor(maps);
  run({ ...page, state, report, hyper, meanings }, { blocks: page.values.size / pageBlock });
  for (const t of [hyper, meanings]) t.dispose();
}
