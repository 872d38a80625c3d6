// Plan: values as they are typed, A1111's ranges among them; what each kind does to the settings; cells in an order that changes
// the slow ones last; what cannot be is refused by name.
import { describe, expect, it } from 'vitest';
import {
  labelOf,
  parseAxis,
  planPlot,
  PlotAxisError,
  plotParameters,
  type AxisKind,
  type PlotContext,
} from './plot.ts';

const settings = {
  prompt: 'a cat by the sea',
  negativePrompt: 'blurry cat',
  seed: 1,
  numInferenceSteps: 20,
  guidanceScale: 7.5,
  width: 512,
  height: 512,
  scheduler: 'ddim',
  loras: [
    { weight: 1, step: 600 },
    { weight: 0.5, step: 0 },
  ],
};
type Settings = typeof settings;
const context: PlotContext<Settings> = {
  scheduler: (so, name) => (name === 'Euler' ? { ...so, scheduler: 'euler' } : null),
  trainingStep: (so, lora, step) =>
    step <= 600 ? { ...so, loras: so.loras.map((one, i) => (i === lora ? { ...one, step } : one)) } : null,
};

describe('the values of an axis', () => {
  it.each([
    ['seed', '1, 2,5', ['1', '2', '5']],
    ['seed', '1-4', ['1', '2', '3', '4']],
    ['steps', '10-30 (+10), 50', ['10', '20', '30', '50']],
    ['steps', '30-10 (-10)', ['30', '20', '10']],
    ['steps', '3-1', ['3', '2', '1']],
    ['lora-weight', '0-1 [5]', ['0', '0.25', '0.5', '0.75', '1']],
    ['lora-weight', '0-0.3 (+0.1)', ['0', '0.1', '0.2', '0.3']],
    ['lora-weight', '-1, .5', ['-1', '0.5']],
    ['guidance', '7.5', ['7.5']],
    ['prompt', 'cat, dog, "a fox, red", "say ""hi"""', ['cat', 'dog', 'a fox, red', 'say "hi"']],
    ['size', '512x512, 512x768', ['512x512', '512x768']],
    ['scheduler', 'Euler a, DPM++ 2M Karras', ['Euler a', 'DPM++ 2M Karras']],
  ] as const)('%s: %s', (kind, text, values) => {
    expect(parseAxis(kind, text).values).toEqual(values);
  });

  it.each([
    ['seed', '1.5', 'Seed: 1.5 is no whole number'],
    ['reuse', '1.5', 'Reuse interval: 1.5 is no whole number'],
    ['guidance', 'much', 'CFG scale: much is no number'],
    ['size', '512', 'Size: 512 is no size'],
    ['seed', ' , ', 'Seed: there are no values'],
    ['seed', '1-100000', 'no range'],
  ] as const)('%s: %s is refused', (kind, text, message) => {
    expect(() => parseAxis(kind, text)).toThrow(message);
  });
});

describe('what an axis does', () => {
  const only = (kind: AxisKind, text: string, lora?: number): Settings[] =>
    planPlot(settings, [parseAxis(kind, text, lora)], context).cells.map((cell) => cell.settings);

  it('sets its setting', () => {
    expect(only('seed', '7')[0]).toEqual({ ...settings, seed: 7 });
    expect(only('steps', '7')[0]).toEqual({ ...settings, numInferenceSteps: 7 });
    expect(only('guidance', '2.5')[0]).toEqual({ ...settings, guidanceScale: 2.5 });
    expect(only('clip-skip', '2')[0]).toEqual({ ...settings, clipSkip: 2 });
    expect(only('guidance-start', '0.2')[0]).toEqual({ ...settings, guidanceStart: 0.2 });
    expect(only('guidance-end', '0.6-1 [3]').map((so) => 'guidanceEnd' in so && so.guidanceEnd)).toEqual([0.6, 0.8, 1]);
    expect(only('reuse', '3')[0]).toEqual({ ...settings, reuseInterval: 3 });
    expect(only('size', '64x72')[0]).toEqual({ ...settings, width: 64, height: 72 });
    expect(only('scheduler', 'Euler')[0]).toEqual({ ...settings, scheduler: 'euler' });
  });

  it('replaces its first value in both prompts', () => {
    expect(only('prompt', 'cat, red fox').map(({ prompt, negativePrompt }) => [prompt, negativePrompt])).toEqual([
      ['a cat by the sea', 'blurry cat'],
      ['a red fox by the sea', 'blurry red fox'],
    ]);
  });

  it('moves one LoRA, both its parts', () => {
    expect(only('lora-weight', '0.25', 1)[0]?.loras).toEqual([
      { weight: 1, step: 600 },
      { weight: 0.25, textEncoderWeight: 0.25, step: 0 },
    ]);
    expect(only('training-step', '100')[0]?.loras[0]).toEqual({ weight: 1, step: 100 });
  });

  it.each([
    ['scheduler', 'Best', 'Sampler: there is no sampler Best.'],
    ['prompt', 'dog, cat', 'Prompt S/R: “dog” is not in the prompt.'],
    ['training-step', '900', 'Training step: step 900 of the LoRA was not kept.'],
  ] as const)('refuses %s %s', (kind, text, message) => {
    expect(() => only(kind, text)).toThrow(message);
    expect(() => only(kind, text)).toThrow(PlotAxisError);
  });

  it('needs the LoRA it is about', () => {
    expect(() => only('lora-weight', '1', 2)).toThrow('LoRA weight: there is no LoRA 3.');
  });
});

describe('a plot', () => {
  it('has a cell for each combination, and changes the slow settings last', () => {
    const axes = [parseAxis('training-step', '100, 200'), parseAxis('seed', '1, 2'), parseAxis('guidance', '3, 4')];
    const { columns, rows, planes, cells } = planPlot(settings, axes, context);
    expect([columns, rows, planes]).toEqual([2, 2, 2]);
    expect(cells.map(({ x, y, z }) => `${x}${y}${z}`)).toEqual([
      '000',
      '001',
      '010',
      '011',
      '100',
      '101',
      '110',
      '111',
    ]);
    expect(cells[5]?.settings).toMatchObject({ seed: 1, guidanceScale: 4, loras: [{ step: 200 }, {}] });
  });

  it('is refused with too many cells or axes', () => {
    const many = parseAxis('seed', '1-30');
    expect(() => planPlot(settings, [many, many], context)).toThrow('The plot: it has 900 pictures.');
    expect(() => planPlot(settings, [], context)).toThrow('The plot: it has 0 axes.');
  });

  it('says its values beside the pictures and in the PNG', () => {
    const weight = parseAxis('lora-weight', '0.5', 1);
    expect(labelOf(weight, '0.5')).toBe('LoRA weight 2: 0.5');
    expect(labelOf(parseAxis('prompt', 'cat'), 'cat')).toBe('cat');
    expect(plotParameters([weight, parseAxis('prompt', 'cat, "a, b"')])).toEqual([
      ['Script', 'X/Y/Z plot'],
      ['X Type', 'LoRA weight'],
      ['X Values', '0.5'],
      ['Y Type', 'Prompt S/R'],
      ['Y Values', 'cat, "a, b"'],
    ]);
  });
});
