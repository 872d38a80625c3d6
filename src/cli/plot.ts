/** X/Y/Z plots on the command line: the files that they need, and the one labelled image. */
import { stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { RgbImage } from '../core/image.ts';
import { defined } from '../core/invariant.ts';
import { labelOf, plotParameters, type Plot, type PlotAxis, type PlotContext } from '../core/plot.ts';
import type { DiffusionModel } from '../models/repository.ts';
import { parseSchedulerName } from '../schedulers/names.ts';
import type { DrawnPicture } from '../session/generation.ts';
import type { GenerationRequest } from '../session/generationRequest.ts';
import { labelledGrid } from './labelledGrid.ts';
import { openLoras, type OpenedLora } from './promptFiles.ts';

/** A request with the LoRAs that it is drawn with, by name. */
export interface NamedRequest extends Omit<GenerationRequest, 'loras'> {
  readonly loras: readonly OpenedLora[];
}

/** Adapters of steps, by `lora step`. */
export type SteppedLoras = ReadonlyMap<string, OpenedLora>;

/**
 * Opens the files of the steps that the axes ask for: beside `style.safetensors` they are called `style-000100.safetensors` or, as kohya
 * calls them, `style-step00000100.safetensors`.
 */
export async function openPlotLoras(
  axes: readonly PlotAxis[],
  files: readonly string[],
  model: DiffusionModel,
): Promise<SteppedLoras> {
  const found = new Map<string, OpenedLora>();
  for (const { kind, values, lora = 0 } of axes) {
    const file = files[lora];
    if (kind !== 'training-step' || file === undefined) continue;
    const stem = join(dirname(file), basename(file, '.safetensors'));
    for (const value of values) {
      const names = [`${stem}-${value.padStart(6, '0')}`, `${stem}-step${value.padStart(8, '0')}`];
      for (const path of names.map((name) => `${name}.safetensors`)) {
        if (!(await stat(path).catch(() => null))) continue;
        const [opened] = await openLoras([{ path, weight: 1 }], model);
        found.set(`${lora} ${value}`, defined(opened));
        break;
      }
    }
  }
  return found;
}

export function plotContext(steps: SteppedLoras): PlotContext<NamedRequest> {
  return {
    scheduler: (request, text) => {
      const named = parseSchedulerName(text);
      if (!named) return null;
      const { useKarrasSigmas: _before, ...schedulerOptions } = request.schedulerOptions ?? {};
      const karras = named.useKarrasSigmas ? { useKarrasSigmas: true } : {};
      return { ...request, scheduler: named.name, schedulerOptions: { ...schedulerOptions, ...karras } };
    },
    trainingStep: (request, lora, step) => {
      const opened = steps.get(`${lora} ${step}`);
      if (!opened) return null;
      const { adapter, name, hash } = opened;
      return {
        ...request,
        loras: request.loras.map((one, i) => (i === lora ? { ...one, adapter, name, hash } : one)),
      };
    },
  };
}

/** Draws every cell, one picture each, until `stopped` says so: what was not drawn stays empty. */
export async function drawPlot(
  plot: Plot<NamedRequest>,
  draw: (request: NamedRequest, onPicture: (picture: DrawnPicture) => void) => Promise<unknown>,
  stopped: () => boolean,
): Promise<{ readonly picture: RgbImage; readonly settings: readonly (readonly [string, string])[] }> {
  const { axes, columns, rows, planes, cells } = plot;
  const pictures: (RgbImage | null)[] = Array.from({ length: columns * rows * planes }, () => null);
  for (const { x, y, z, settings } of cells) {
    if (stopped()) break;
    await draw({ ...settings, batchSize: 1, batchCount: 1 }, ({ image }) => {
      pictures[(z * rows + y) * columns + x] = image;
    });
  }
  const labels = (i: number): readonly string[] => axes[i]?.values.map((value) => labelOf(axes[i]!, value)) ?? [];
  const picture = await labelledGrid(
    {
      columns,
      rows,
      planes,
      cellWidth: Math.max(...pictures.map((image) => image?.width ?? 0)),
      cellHeight: Math.max(...pictures.map((image) => image?.height ?? 0)),
      columnLabels: labels(0),
      rowLabels: labels(1),
      planeLabels: labels(2),
    },
    pictures,
  );
  return { picture, settings: plotParameters(axes) };
}
