import { useEffect, useMemo, useRef } from 'react';
import uPlot from 'uplot';
import { learningRateAt } from '../../core/learningRate.ts';
import type { TrainOptions } from '../../core/trainOptions.ts';
import { resolvedOptions } from '../../store/trainSettings.ts';
import { useTheme } from '../hooks/useTheme.ts';
import { useStudio } from '../StudioContext.tsx';

/** Enough for a smooth curve in a narrow column. */
const MOST_POINTS = 240;

type Curve = [steps: number[], rates: number[]];

function curveOf(options: TrainOptions): Curve {
  const last = options.maxTrainSteps - 1;
  const count = Math.min(MOST_POINTS, last + 1);
  const steps = [...new Set(Array.from({ length: count }, (_, i) => Math.round((last * i) / Math.max(1, count - 1))))];
  return [steps.map((step) => step + 1), steps.map((step) => learningRateAt(options, step))];
}

const short = (rate: number): string =>
  rate === 0 ? '0' : rate.toExponential(1).replace('.0e', 'e').replace('e-', 'e−');

/** The course of the rate in a sentence, for those who do not see it. */
function inWords(options: TrainOptions, [, rates]: Curve): string {
  const first = short(rates[0] ?? 0);
  const end = short(rates.at(-1) ?? 0);
  const top = short(Math.max(...rates));
  return first === end && first === top
    ? `The learning rate stays at ${first} for ${options.maxTrainSteps} steps.`
    : `The learning rate begins at ${first}, is ${top} at most, and ends at ${end} after ${options.maxTrainSteps} steps.`;
}

function chartOptions(element: HTMLElement, hovered: (index: number | null) => void): uPlot.Options {
  const style = getComputedStyle(document.documentElement);
  const color = (name: string): string => style.getPropertyValue(name).trim();
  const axis = { stroke: color('--text-3'), font: `11px ${style.getPropertyValue('--font')}`, ticks: { show: false } };
  return {
    width: element.clientWidth,
    height: element.clientHeight,
    padding: [6, 10, 0, 0],
    legend: { show: false },
    cursor: { drag: { x: false, y: false }, y: false, points: { size: 6, width: 2, fill: color('--panel') } },
    scales: {
      x: { time: false, range: (_, min, max) => [min, Math.max(min + 1, max)] },
      y: { range: (_, __, max) => [0, max > 0 ? max * 1.12 : 1] },
    },
    axes: [
      { ...axis, grid: { show: false }, size: 20, space: 60 },
      {
        ...axis,
        grid: { stroke: color('--line'), width: 1 },
        size: 44,
        space: 30,
        values: (_, ticks) => ticks.map(short),
      },
    ],
    series: [{}, { stroke: color('--accent'), width: 2, fill: color('--accent-soft'), points: { show: false } }],
    hooks: { setCursor: [(plot) => hovered(plot.cursor.idx ?? null)] },
  };
}

/** The drawing itself. Colours are read when it is made, so another theme needs another one (`key`). */
function Plot({ curve, label }: { readonly curve: Curve; readonly label: string }) {
  const host = useRef<HTMLDivElement>(null);
  const readout = useRef<HTMLSpanElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef(curve);

  useEffect(() => {
    latest.current = curve;
    plot.current?.setData(curve);
  }, [curve]);

  useEffect(() => {
    const element = host.current;
    if (element === null) return undefined;
    const hovered = (index: number | null): void => {
      const [steps, rates] = latest.current;
      const text = index === null ? '' : `step ${steps[index] ?? ''}   ${short(rates[index] ?? 0)}`;
      if (readout.current !== null) readout.current.textContent = text;
    };
    const made = new uPlot(chartOptions(element, hovered), latest.current, element);
    plot.current = made;
    const observer = new ResizeObserver(() =>
      made.setSize({ width: element.clientWidth, height: element.clientHeight }),
    );
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, []);

  return (
    <div className="rate">
      <span className="rate-readout" ref={readout} aria-hidden="true" />
      {/* oxlint-disable-next-line jsx-a11y/prefer-tag-over-role -- uPlot draws into an element, not an img */}
      <div className="rate-chart" ref={host} role="img" aria-label={label} data-testid="rate-chart" />
    </div>
  );
}

/** The learning rate over the steps, as the trainer will set it. */
export function RateChart() {
  const theme = useTheme();
  const resolved = useStudio(resolvedOptions);
  const curve = useMemo(() => curveOf(resolved), [resolved]);
  if (resolved.optimizer.name === 'adafactor' && resolved.optimizer.relativeStep) return null;
  return <Plot key={theme} curve={curve} label={inWords(resolved, curve)} />;
}
