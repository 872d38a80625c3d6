/** The X/Y/Z plot: the form's picture again and again, with two or three of its settings changed, cell by cell. */
import { LoratoryError, type PlainError, toPlainError } from '../core/errors.ts';
import { type AxisKind, labelOf, parseAxis, planPlot, type Plot as Plan, plotParameters } from '../core/plot.ts';
import type { GridRequest } from '../core/plotLayout.ts';
import { isAborted } from '../worker/client.ts';
import type { GenerateRequest } from '../worker/protocol.ts';
import { generateRequestOf } from './generate.ts';
import { axisLabels, plotContext } from './plotAxes.ts';
import { saveBlob } from './saveBlob.ts';
import { loraName } from './shelf.ts';
import { reportError, type SliceContext, type StudioState } from './slice.ts';

export interface PlotCell {
  readonly request: GenerateRequest;
  readonly png: Blob | null;
  readonly parameters: string;
  readonly error: PlainError | null;
}

/** A plot that was begun. */
export interface Plot extends Omit<Plan<GenerateRequest>, 'cells'> {
  /** (z * rows + y) * columns + x. */
  readonly cells: readonly PlotCell[];
  readonly startedAt: number;
  /** Milliseconds since 1970; null while it is drawn. */
  readonly endedAt: number | null;
  /** How many cells are done. */
  readonly done: number;
  /** Which cell is drawn now. */
  readonly at: number;
  readonly cancelling: boolean;
  /** All of it as one labelled picture, once it has ended and has one. */
  readonly image: Blob | null;
}

export type AxisName = 'x' | 'y' | 'z';

/** An axis as it stands in the form. */
export interface AxisForm {
  readonly kind: AxisKind | 'none';
  readonly values: string;
  /** Of LoRA weight and training step: which LoRA of the shelf, by its place. */
  readonly loraIndex: number;
}

export interface PlotSlice {
  readonly plotForm: Readonly<Record<AxisName, AxisForm>>;
  readonly plot: Plot | null;
  readonly plotAxisEdited: (axis: AxisName, values: Partial<AxisForm>) => void;
  readonly plotAxesSwapped: () => void;
  readonly plotPressed: () => Promise<void>;
  readonly plotCancelled: () => void;
  readonly plotSaved: () => void;
}

/** The form beside the axes is not ready. */
export class PlotFormError extends LoratoryError {
  readonly code = 'plot-form';
}

/**
 * Every cell's request.
 *
 * @throws {PlotFormError | PlotAxisError} saying what is wrong.
 */
export function planOf(state: StudioState): Plan<GenerateRequest> {
  const form = generateRequestOf(state);
  if (form === null)
    throw new PlotFormError('A setting of the picture is missing or wrong.', 'See the fields marked on the left.');
  const { x, y, z } = state.plotForm;
  const axes = [x, y, z].flatMap(({ kind, values, loraIndex }) =>
    kind === 'none' ? [] : [parseAxis(kind, values, loraIndex)],
  );
  if (axes.length === 0) throw new PlotFormError('No axis changes anything.', 'Choose a setting for X.');
  const base: GenerateRequest = { ...form, batchSize: 1, batchCount: 1, preview: 'none' };
  return planPlot(base, axes, plotContext(state.runSteps));
}

/** Seconds until all cells are drawn; null before the first one is. */
export function plotEta({ done, cells }: Plot, elapsedSeconds: number): number | null {
  return done === 0 ? null : (elapsedSeconds / done) * (cells.length - done);
}

/** Small pictures are enlarged until labels fit beside them. */
const smallestCell = 192;

/** A setting's value as A1111 writes it. */
function quoted(value: string): string {
  return /[,:\n]/.test(value) ? JSON.stringify(value) : value;
}

/** How the cells lie and what stands beside them. */
function gridOf({ axes, columns, rows, planes, cells }: Plot): GridRequest {
  const widest = Math.max(...cells.map(({ request }) => request.width));
  const highest = Math.max(...cells.map(({ request }) => request.height));
  const factor = Math.max(1, Math.ceil(smallestCell / widest));
  const labels = axes.map((axis) => axis.values.map((value) => labelOf(axis, value)));
  const [columnLabels = [], rowLabels = [], planeLabels = []] = labels;
  const cellSize = { cellWidth: widest * factor, cellHeight: highest * factor };
  return { columns, rows, planes, ...cellSize, columnLabels, rowLabels, planeLabels };
}

/** A cell's settings, and the axes after them. */
function parametersOf({ axes, cells }: Plot): string {
  const settings = plotParameters(axes).map(([name, value]) => `${name}: ${quoted(value)}`);
  const own = cells.find(({ parameters }) => parameters !== '')?.parameters ?? '';
  return [own, ...settings].join(', ');
}

export function createPlotSlice(context: SliceContext): PlotSlice {
  const { client, set, get } = context;
  let controller: AbortController | null = null;

  const changePlot = (values: Partial<Plot>): void => set(({ plot }) => (plot ? { plot: { ...plot, ...values } } : {}));
  const cellDone = (index: number, values: Partial<PlotCell>): void =>
    set(({ plot }) => {
      if (plot === null) return {};
      const cells = plot.cells.map((cell, i) => (i === index ? { ...cell, ...values } : cell));
      return { plot: { ...plot, cells, done: plot.done + 1 } };
    });

  /** Composes what was drawn into one labelled picture, and keeps that in the gallery. */
  const keep = async (): Promise<void> => {
    const { plot } = get();
    const [first] = plot?.cells ?? [];
    if (!plot || !first || plot.done === 0) return;
    try {
      const parameters = parametersOf(plot);
      const image = await client.request('plot.compose', {
        grid: gridOf(plot),
        pictures: plot.cells.map(({ png }) => png),
        parameters,
      });
      // Another may have been begun meanwhile.
      if (get().plot?.startedAt === plot.startedAt) changePlot({ image: image.png });
      const { initImage: _initImage, jobId: _jobId, ...request } = first.request;
      await get().pictureKept({
        ...image,
        parameters,
        request,
        plot: plot.axes.map(({ kind }) => axisLabels[kind]),
        loraNames: request.loras.map(({ source }) => loraName(get(), source) ?? 'LoRA'),
        isPartial: plot.done < plot.cells.length,
        milliseconds: (plot.endedAt ?? plot.startedAt) - plot.startedAt,
        savedAt: Date.now(),
      });
    } catch (error) {
      reportError(context, 'The plot could not be made into one picture', error);
    }
  };

  return {
    plotForm: {
      x: { kind: 'guidance', values: '3, 7, 12', loraIndex: 0 },
      y: { kind: 'seed', values: '1-3', loraIndex: 0 },
      z: { kind: 'none', values: '', loraIndex: 0 },
    },
    plot: null,
    plotAxisEdited: (axis, values) =>
      set(({ plotForm }) => ({ plotForm: { ...plotForm, [axis]: { ...plotForm[axis], ...values } } })),
    plotAxesSwapped: () => set(({ plotForm: { x, y, z } }) => ({ plotForm: { x: y, y: x, z } })),
    plotPressed: async () => {
      if (get().plot?.endedAt === null) return;
      let plan: Plan<GenerateRequest>;
      try {
        plan = planOf(get());
      } catch (error) {
        reportError(context, 'The plot cannot be drawn', error);
        return;
      }
      controller = new AbortController();
      const { signal } = controller;
      const indexOf = ({ x, y, z }: (typeof plan.cells)[number]): number => (z * plan.rows + y) * plan.columns + x;
      const cells = plan.cells
        .toSorted((a, b) => indexOf(a) - indexOf(b))
        .map(({ settings }): PlotCell => ({ request: settings, png: null, parameters: '', error: null }));
      set({
        plot: { ...plan, cells, startedAt: Date.now(), endedAt: null, done: 0, at: 0, cancelling: false, image: null },
      });
      for (const cell of plan.cells) {
        const index = indexOf(cell);
        changePlot({ at: index });
        try {
          const [picture] = await get().drawingRequested(cell.settings, { signal, keep: false });
          cellDone(index, picture ? { png: picture.png, parameters: picture.parameters } : {});
        } catch (error) {
          if (isAborted(error) || signal.aborted) break;
          // One setting that does not work leaves the other cells alone.
          cellDone(index, { error: toPlainError(error) });
        }
      }
      changePlot({ endedAt: Date.now() });
      await keep();
    },
    plotCancelled: () => {
      changePlot({ cancelling: true });
      controller?.abort();
    },
    plotSaved: () => {
      const { plot } = get();
      if (plot?.image) saveBlob(plot.image, 'xyz-plot.png');
    },
  };
}
