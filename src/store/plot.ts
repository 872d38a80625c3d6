/** The X/Y/Z plot: the form's picture again and again, with two or three of its settings changed, cell by cell. */
import { LoratoryError, type PlainError, toPlainError } from '../core/errors.ts';
import { isAborted } from '../worker/client.ts';
import type { GenerateRequest } from '../worker/protocol.ts';
import { generateRequestOf } from './generate.ts';
import { sizesInUse } from './modelDefaults.ts';
import { type AxisForm, axisLabels, type AxisValue, axisValues } from './plotAxes.ts';
import { renderPlot } from './plotImage.ts';
import { saveBlob } from './saveBlob.ts';
import { loraName } from './shelf.ts';
import { reportError, type SliceContext, type StudioState } from './slice.ts';

export interface PlotCell {
  readonly request: GenerateRequest;
  readonly png: Blob | null;
  readonly parameters: string;
  readonly error: PlainError | null;
}

/** An axis of a plot that was begun. */
export interface PlotAxis {
  readonly title: string;
  readonly labels: readonly string[];
}

export interface Plot {
  readonly axes: readonly [x: PlotAxis, y: PlotAxis, z: PlotAxis];
  /** z * rows * columns + y * columns + x. */
  readonly cells: readonly PlotCell[];
  readonly startedAt: number;
  /** Milliseconds since 1970; null while it is drawn. */
  readonly endedAt: number | null;
  /** Which cell is drawn now. */
  readonly at: number;
  readonly cancelling: boolean;
}

export type AxisName = 'x' | 'y' | 'z';

export interface PlotSlice {
  readonly plotForm: Readonly<Record<AxisName, AxisForm>>;
  readonly plot: Plot | null;
  readonly plotAxisEdited: (axis: AxisName, values: Partial<AxisForm>) => void;
  readonly plotAxesSwapped: () => void;
  readonly plotPressed: () => Promise<void>;
  readonly plotCancelled: () => void;
  readonly plotSaved: () => Promise<void>;
}

/** More pictures than this in one plot are most likely a slip of the pen. */
const mostCells = 400;

/** The axes cannot make a plot together. */
export class PlotError extends LoratoryError {
  readonly code = 'plot';
}

export interface PlotPlan {
  readonly axes: readonly [PlotAxis, PlotAxis, PlotAxis];
  readonly requests: readonly GenerateRequest[];
}

/**
 * Every cell's request.
 *
 * @throws {PlotError | AxisError | AxisValuesError} saying what is wrong with an axis.
 */
export function planPlot(state: StudioState): PlotPlan {
  const form = generateRequestOf(state);
  if (form === null)
    throw new PlotError('A setting of the picture is missing or wrong.', 'See the fields marked on the left.');
  const base: GenerateRequest = { ...form, batchSize: 1, batchCount: 1, preview: 'none' };
  const sizes = sizesInUse(state);
  const { x, y, z } = state.plotForm;
  if ([x, y, z].every(({ kind }) => kind === 'none'))
    throw new PlotError('No axis changes anything.', 'Choose a setting for X.');
  const values = [x, y, z].map((axis) => axisValues(axis, base, sizes));
  const axes = [x, y, z].map((axis, i): PlotAxis => ({
    title: axisTitle(axis, base, state),
    labels: (values[i] ?? []).map(({ label }) => label),
  }));
  const [xs = [], ys = [], zs = []] = values;
  const count = xs.length * ys.length * zs.length;
  if (count > mostCells)
    throw new PlotError(`That would be ${count} pictures; at most ${mostCells} are drawn.`, 'Take fewer values.');
  const apply = (request: GenerateRequest, value: AxisValue): GenerateRequest => value.apply(request);
  return {
    axes: axes as unknown as PlotPlan['axes'],
    requests: zs.flatMap((c) => ys.flatMap((b) => xs.map((a) => [c, b, a].reduce(apply, base)))),
  };
}

function axisTitle({ kind, loraIndex }: AxisForm, base: GenerateRequest, state: StudioState): string {
  if (kind === 'none') return '';
  if (kind === 'prompt') return 'Prompt';
  const label = axisLabels[kind];
  const source = base.loras[loraIndex]?.source;
  if (source === undefined || (kind !== 'loraWeight' && kind !== 'trainingStep')) return label;
  return `${loraName(state, source) ?? 'LoRA'}: ${kind === 'loraWeight' ? 'weight' : 'training step'}`;
}

/** Seconds until all cells are drawn; null before the first one is. */
export function plotEta({ at, cells }: Plot, elapsedSeconds: number): number | null {
  return at === 0 ? null : (elapsedSeconds / at) * (cells.length - at);
}

const nothing: AxisForm = { kind: 'none', values: '', loraIndex: 0 };

export function createPlotSlice(context: SliceContext): PlotSlice {
  const { set, get } = context;
  let controller: AbortController | null = null;

  const changePlot = (values: Partial<Plot>): void => set(({ plot }) => (plot ? { plot: { ...plot, ...values } } : {}));
  const changeCell = (index: number, values: Partial<PlotCell>): void =>
    set(({ plot }) =>
      plot
        ? { plot: { ...plot, cells: plot.cells.map((cell, i) => (i === index ? { ...cell, ...values } : cell)) } }
        : {},
    );

  return {
    plotForm: {
      x: { kind: 'guidanceScale', values: '3, 7, 12', loraIndex: 0 },
      y: { kind: 'seed', values: '1-3', loraIndex: 0 },
      z: nothing,
    },
    plot: null,
    plotAxisEdited: (axis, values) =>
      set(({ plotForm }) => ({ plotForm: { ...plotForm, [axis]: { ...plotForm[axis], ...values } } })),
    plotAxesSwapped: () => set(({ plotForm: { x, y, z } }) => ({ plotForm: { x: y, y: x, z } })),
    plotPressed: async () => {
      if (get().isTraining || (get().plot !== null && get().plot?.endedAt === null)) return;
      let plan: PlotPlan;
      try {
        plan = planPlot(get());
      } catch (error) {
        reportError(context, 'The plot cannot be drawn', error);
        return;
      }
      controller = new AbortController();
      const { signal } = controller;
      const cells = plan.requests.map((request): PlotCell => ({ request, png: null, parameters: '', error: null }));
      set({ plot: { axes: plan.axes, cells, startedAt: Date.now(), endedAt: null, at: 0, cancelling: false } });
      for (const [index, { request }] of cells.entries()) {
        changePlot({ at: index });
        try {
          const [picture] = await get().drawingRequested(request, { signal, keep: false });
          if (picture) changeCell(index, { png: picture.png, parameters: picture.parameters });
        } catch (error) {
          if (isAborted(error) || signal.aborted) break;
          // One setting that does not work (a step that was not kept, say) leaves the other cells alone.
          changeCell(index, { error: toPlainError(error) });
        }
      }
      changePlot({ endedAt: Date.now(), ...(signal.aborted ? {} : { at: cells.length }) });
    },
    plotCancelled: () => {
      changePlot({ cancelling: true });
      controller?.abort();
    },
    plotSaved: async () => {
      const { plot } = get();
      if (plot === null) return;
      try {
        saveBlob(await renderPlot(plot), 'xyz-plot.png');
      } catch (error) {
        reportError(context, 'The plot could not be saved', error);
      }
    },
  };
}
