/** What the tests of the optimizers share: pages of made-up parameters, gradients that change, a report of a step. */
import { engine, setBackend, tensor } from '@tensorflow/tfjs-core';
import { readTensor, type Tensor } from '../runtime.ts';
import { noise } from '../testing.ts';
import { pageBlock, type ParameterPage, type StepReport } from './parameterPage.ts';

/** A page of `blocks` blocks of 256; every second block has the learning rate's factor 0.5. */
export function makePage(blocks: number, seed: number): ParameterPage {
  const size = blocks * pageBlock;
  return {
    values: tensor(noise(size, seed)),
    gradients: tensor(new Float32Array(size)),
    factors: tensor(factorsOf(blocks)),
  };
}

export function factorsOf(blocks: number): Float32Array {
  return Float32Array.from({ length: blocks }, (_, i) => (i % 2 === 0 ? 1 : 0.5));
}

/** The page with the gradients of a step: of very different sizes, as those of LoRA's two matrices are. */
export function withGradients(page: ParameterPage, gradients: Float32Array): ParameterPage {
  page.gradients.dispose();
  return { ...page, gradients: tensor(gradients) };
}

export function gradientsAt(size: number, step: number): Float32Array {
  return noise(size, 100 + step).map((value, i) => value * 10 ** -(Math.floor(i / pageBlock) % 4));
}

export function disposePage({ values, gradients, factors }: ParameterPage): void {
  for (const t of [values, gradients, factors]) t.dispose();
}

/** A report that scales gradients by `scale`; 0: the step is not to be applied. */
export function reportOf(scale: number): StepReport {
  return tensor(Float32Array.of(scale, 1, 0));
}

/** The values of a tensor on the backend in use. */
export async function valuesOf(t: Tensor): Promise<Float32Array> {
  return engine().backendName === 'cpu' ? Float32Array.from(t.dataSync()) : readTensor(t);
}

/**
 * Ten steps of an optimizer over `blocks` blocks, with gradients scaled by a half, and a step that must not be applied in between;
 * returns the values, and the state's as they are.
 */
export async function tenSteps(
  backend: string,
  blocks: number,
  statePerValue: number,
  update: (page: ParameterPage, state: Tensor, report: StepReport, step: number) => void,
): Promise<{ readonly values: Float32Array; readonly state: Float32Array }> {
  await setBackend(backend);
  const size = blocks * pageBlock;
  let page = makePage(blocks, 1);
  const state = tensor(new Float32Array(statePerValue * size));
  for (let step = 1; step <= 10; step++) {
    page = withGradients(page, gradientsAt(size, step));
    const [no, yes] = [reportOf(0), reportOf(0.5)];
    if (step === 5) update(page, state, no, step);
    update(page, state, yes, step);
    for (const t of [no, yes]) t.dispose();
  }
  const result = { values: await valuesOf(page.values), state: await valuesOf(state) };
  disposePage(page);
  state.dispose();
  return result;
}
