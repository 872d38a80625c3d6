/**
 * X/Y/Z plots: the same picture over any two or three of its settings. What can be an axis, how its values are written and read, what
 * each does to the settings, and which cells there are. Pure: the page and the command line draw the cells, each in its way.
 *
 * Values are written as A1111's script reads them: `1, 2, 5`; `1-5` and `1-9 (+2)` for whole numbers and others; `0-1 [5]` for five values
 * from end to end; prompts with commas in double quotes.
 */
import { LoratoryError } from './errors.ts';
import { defined } from './invariant.ts';
import type { Shortcuts } from './shortcuts.ts';

/** The settings that axes change; a page's or a command's own settings have more. */
export interface PlotSettings extends Shortcuts {
  readonly prompt: string;
  readonly negativePrompt: string;
  readonly seed: number;
  readonly numInferenceSteps: number;
  readonly guidanceScale: number;
  readonly width: number;
  readonly height: number;
  readonly clipSkip?: number;
  /** Any name of a scheduler, as {@link PlotContext.scheduler} reads it. */
  readonly scheduler: string;
  readonly loras: readonly PlotLora[];
}

export interface PlotLora {
  readonly weight: number;
  readonly textEncoderWeight?: number;
}

export const AXIS_KINDS = [
  'lora-weight',
  'training-step',
  'seed',
  'guidance',
  'scheduler',
  'steps',
  'prompt',
  'size',
  'clip-skip',
  'guidance-start',
  'guidance-end',
  'reuse',
] as const;
export type AxisKind = (typeof AXIS_KINDS)[number];

/** As A1111 and we call them. */
export const AXIS_LABELS: Readonly<Record<AxisKind, string>> = {
  'lora-weight': 'LoRA weight',
  'training-step': 'Training step',
  seed: 'Seed',
  guidance: 'CFG scale',
  scheduler: 'Sampler',
  steps: 'Steps',
  prompt: 'Prompt S/R',
  size: 'Size',
  'clip-skip': 'Clip skip',
  'guidance-start': 'Guidance start',
  'guidance-end': 'Guidance end',
  reuse: 'Reuse interval',
};

export interface PlotAxis {
  readonly kind: AxisKind;
  /** One a picture, as text: numbers as they are written, sizes as `512x768`; of prompts the first is what the others replace. */
  readonly values: readonly string[];
  /** Which of the LoRAs, from 0, for the two kinds that are about one. */
  readonly lora?: number;
}

/** An axis cannot be read, or does not fit the settings. */
export class PlotAxisError extends LoratoryError {
  readonly code = 'plot-axis';

  constructor(kind: AxisKind | 'plot', problem: string, remedy: string) {
    super(`${kind === 'plot' ? 'The plot' : AXIS_LABELS[kind]}: ${problem}.`, remedy, { kind, problem });
  }
}

/** What only the caller knows. */
export interface PlotContext<S extends PlotSettings> {
  /** The settings with a scheduler of this name; null if there is none. */
  readonly scheduler: (settings: S, name: string) => S | null;
  /** The settings with one LoRA as it was after a step of its training; null if that was not kept. */
  readonly trainingStep?: (settings: S, lora: number, step: number) => S | null;
}

export interface PlotCell<S extends PlotSettings> {
  /** Place on each axis, from 0; 0 on those that are not there. */
  readonly x: number;
  readonly y: number;
  readonly z: number;
  readonly settings: S;
}

export interface Plot<S extends PlotSettings> {
  readonly axes: readonly PlotAxis[];
  readonly columns: number;
  readonly rows: number;
  readonly planes: number;
  /** In the order that is quickest to draw: what takes loading or reading changes last. */
  readonly cells: readonly PlotCell<S>[];
}

const NUMBER = '[+-]?\\d*\\.?\\d+';
const RANGE = new RegExp(`^(${NUMBER})\\s*-\\s*(${NUMBER})(?:\\s*\\(([+-]?\\d*\\.?\\d+)\\)|\\s*\\[(\\d+)\\])?$`);
const WHOLE: readonly AxisKind[] = ['training-step', 'seed', 'steps', 'clip-skip', 'reuse'];
const NUMERIC: readonly AxisKind[] = [...WHOLE, 'lora-weight', 'guidance', 'guidance-start', 'guidance-end'];

/** Most cells of a plot: more is a slip of the hand, and would take hours. */
export const MOST_CELLS = 400;

/** Reads the values of an axis as they are typed. Throws {@link PlotAxisError}. */
export function parseAxis(kind: AxisKind, text: string, lora?: number): PlotAxis {
  const parts = splitList(text);
  if (parts.length === 0) throw new PlotAxisError(kind, 'there are no values', 'Give some, with commas between them.');
  const values = NUMERIC.includes(kind) ? parts.flatMap((part) => numbers(kind, part)) : parts;
  if (kind === 'size') for (const value of values) sizeOf(value);
  if (values.length > MOST_CELLS)
    throw new PlotAxisError(kind, `there are ${values.length} values`, `Give ${MOST_CELLS} at most.`);
  return { kind, values, ...(lora === undefined ? {} : { lora }) };
}

/** The cells of a plot over one to three axes: columns, rows, planes. Throws {@link PlotAxisError}. */
export function planPlot<S extends PlotSettings>(
  settings: S,
  axes: readonly PlotAxis[],
  context: PlotContext<S>,
): Plot<S> {
  if (axes.length === 0 || axes.length > 3)
    throw new PlotAxisError('plot', `it has ${axes.length} axes`, 'Give one, two or three.');
  const [columns = 1, rows = 1, planes = 1] = axes.map(({ values }) => values.length);
  if (columns * rows * planes > MOST_CELLS)
    throw new PlotAxisError(
      'plot',
      `it has ${columns * rows * planes} pictures`,
      `Take fewer values: ${MOST_CELLS} at most.`,
    );
  const cells: PlotCell<S>[] = [];
  for (let z = 0; z < planes; z++) {
    for (let y = 0; y < rows; y++) {
      for (let x = 0; x < columns; x++) {
        const at = [x, y, z];
        const changed = axes.reduce(
          (so, axis, i) => applyValue(so, axis, defined(axis.values[at[i]!]), context),
          settings,
        );
        cells.push({ x, y, z, settings: changed });
      }
    }
  }
  const cost = axes.map(({ kind }) => SLOW.indexOf(kind) + 1);
  const slowest = [0, 1, 2].sort((a, b) => (cost[b] ?? 0) - (cost[a] ?? 0));
  const place = (cell: PlotCell<S>, i: number): number => [cell.x, cell.y, cell.z][i]!;
  cells.sort((a, b) => slowest.map((i) => place(a, i) - place(b, i)).find((d) => d !== 0) ?? 0);
  return { axes, columns, rows, planes, cells };
}

/** The slower to change, the later in the list. */
const SLOW: readonly AxisKind[] = ['lora-weight', 'size', 'prompt', 'clip-skip', 'training-step'];

/** How a value is written beside the pictures. */
export function labelOf({ kind, lora }: PlotAxis, value: string): string {
  if (kind === 'prompt' || kind === 'scheduler' || kind === 'size') return value;
  const which = (kind === 'lora-weight' || kind === 'training-step') && lora ? ` ${lora + 1}` : '';
  return `${AXIS_LABELS[kind]}${which}: ${value}`;
}

/** What A1111 writes of a plot into its PNG. */
export function plotParameters(axes: readonly PlotAxis[]): (readonly [name: string, value: string])[] {
  const names = ['X', 'Y', 'Z'];
  return [
    ['Script', 'X/Y/Z plot'],
    ...axes.flatMap(({ kind, values }, i): [string, string][] => [
      [`${names[i]} Type`, AXIS_LABELS[kind]],
      [`${names[i]} Values`, values.map(quoted).join(', ')],
    ]),
  ];
}

function applyValue<S extends PlotSettings>(settings: S, axis: PlotAxis, value: string, context: PlotContext<S>): S {
  const { kind, lora = 0 } = axis;
  switch (kind) {
    case 'seed':
      return { ...settings, seed: Number(value) };
    case 'steps':
      return { ...settings, numInferenceSteps: Number(value) };
    case 'guidance':
      return { ...settings, guidanceScale: Number(value) };
    case 'clip-skip':
      return { ...settings, clipSkip: Number(value) };
    case 'guidance-start':
      return { ...settings, guidanceStart: Number(value) };
    case 'guidance-end':
      return { ...settings, guidanceEnd: Number(value) };
    case 'reuse':
      return { ...settings, reuseInterval: Number(value) };
    case 'size':
      return { ...settings, ...sizeOf(value) };
    case 'scheduler': {
      const changed = context.scheduler(settings, value);
      if (!changed) throw new PlotAxisError(kind, `there is no sampler ${value}`, 'Choose one of the list.');
      return changed;
    }
    case 'prompt':
      return replacePrompt(settings, defined(axis.values[0]), value);
    case 'lora-weight': {
      needLora(kind, settings, lora);
      const weight = Number(value);
      const loras = settings.loras.map((one, i) => (i === lora ? { ...one, weight, textEncoderWeight: weight } : one));
      return { ...settings, loras };
    }
    case 'training-step': {
      needLora(kind, settings, lora);
      const changed = context.trainingStep?.(settings, lora, Number(value)) ?? null;
      if (!changed)
        throw new PlotAxisError(
          kind,
          `step ${value} of the LoRA was not kept`,
          'Choose steps that were kept, of a LoRA of your own.',
        );
      return changed;
    }
  }
}

function needLora(kind: AxisKind, { loras }: PlotSettings, lora: number): void {
  if (loras[lora]) return;
  throw new PlotAxisError(kind, `there is no LoRA ${lora + 1}`, 'Add a LoRA first.');
}

function replacePrompt<S extends PlotSettings>(settings: S, search: string, value: string): S {
  const { prompt, negativePrompt } = settings;
  if (!prompt.includes(search) && !negativePrompt.includes(search)) {
    throw new PlotAxisError(
      'prompt',
      `“${search}” is not in the prompt`,
      'The first value is what the others replace: write it as it stands there.',
    );
  }
  return {
    ...settings,
    prompt: prompt.replaceAll(search, value),
    negativePrompt: negativePrompt.replaceAll(search, value),
  };
}

function sizeOf(value: string): { readonly width: number; readonly height: number } {
  const [, width, height] = /^(\d+)\s*[x×]\s*(\d+)$/.exec(value) ?? [];
  if (width === undefined || height === undefined)
    throw new PlotAxisError('size', `${value} is no size`, 'Write widths and heights, such as 512x768.');
  return { width: Number(width), height: Number(height) };
}

function numbers(kind: AxisKind, text: string): string[] {
  const isWhole = WHOLE.includes(kind);
  const refuse = (): never => {
    throw new PlotAxisError(
      kind,
      `${text} is no ${isWhole ? 'whole ' : ''}number and no range`,
      'Write numbers with commas between them, or ranges: 1-5, 1-9 (+2), 0-1 [5].',
    );
  };
  const [, first, last, step, count] = RANGE.exec(text) ?? [];
  if (first === undefined || last === undefined) {
    const value = Number(text);
    return Number.isFinite(value) && (!isWhole || Number.isInteger(value)) ? [String(value)] : refuse();
  }
  const [from, to] = [Number(first), Number(last)];
  const by = count === undefined ? Number(step ?? (from <= to ? 1 : -1)) : (to - from) / Math.max(1, Number(count) - 1);
  const length = count === undefined ? Math.floor((to - from) / by + 1e-9) + 1 : Number(count);
  if (!(length >= 1) || length > MOST_CELLS) return refuse();
  const values = Array.from({ length }, (_, i) => from + i * by);
  // Ten digits are more than anyone types, and hide what binary fractions add.
  return values.map((value) => String(isWhole ? Math.round(value) : Number(value.toPrecision(10))));
}

/** Splits at commas outside double quotes; a doubled quote within quotes stands for one. */
function splitList(text: string): string[] {
  const parts: string[] = [];
  for (const [, quotedPart, plain] of text.matchAll(/\s*(?:"((?:[^"]|"")*)"|([^,]*))\s*(?:,|$)/g)) {
    const part = quotedPart?.replaceAll('""', '"') ?? plain?.trim() ?? '';
    if (part !== '') parts.push(part);
  }
  return parts;
}

function quoted(value: string): string {
  return /[,"]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
}
