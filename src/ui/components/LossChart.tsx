import { useEffect, useMemo, useRef } from 'react';
import uPlot from 'uplot';
import type { ValidationPoint } from '../../worker/protocol.ts';
import { formatLoss } from '../../store/format.ts';
import { smoothLosses } from '../../store/smoothing.ts';
import { useTheme } from '../hooks/useTheme.ts';
import { Info } from './Info.tsx';

interface LossChartProps {
  /** Loss of step 1, 2, …; the wrapper is new whenever there are more. */
  readonly losses: { readonly values: readonly number[] };
  /** Losses on held-out images, by step. */
  readonly validation?: readonly Pick<ValidationPoint, 'globalStep' | 'loss'>[];
  /** Right end of the axis, so that the curve grows into the room that it will need. */
  readonly maxTrainSteps: number;
}

/** Steps, losses, smoothed losses, losses on held-out images (of few steps). */
type Curves = [number[], number[], number[], (number | null)[]];

const noPoints: NonNullable<LossChartProps['validation']> = [];

function chartOptions(
  element: HTMLElement,
  maxTrainSteps: number,
  onHover: (index: number | null) => void,
): uPlot.Options {
  const style = getComputedStyle(document.documentElement);
  const color = (name: string): string => style.getPropertyValue(name).trim();
  const axis = {
    stroke: color('--text-3'),
    font: `11px ${style.getPropertyValue('--font')}`,
    grid: { stroke: color('--line'), width: 1 },
    ticks: { show: false },
  };
  return {
    width: element.clientWidth,
    height: element.clientHeight,
    padding: [8, 16, 0, 0],
    legend: { show: false },
    cursor: {
      drag: { x: false, y: false },
      y: false,
      points: { size: 7, width: 2, fill: color('--raised'), stroke: color('--accent') },
    },
    scales: {
      x: { time: false, range: (_, __, max) => [1, Math.max(2, maxTrainSteps, max)] },
      y: { range: (_, __, max) => [0, Math.max(0.05, max * 1.08)] },
    },
    axes: [
      { ...axis, grid: { show: false }, size: 24, space: 70 },
      { ...axis, size: 46, space: 34, values: (_, ticks) => ticks.map((tick) => tick.toFixed(2)) },
    ],
    series: [
      {},
      { stroke: color('--chart-raw'), width: 1, points: { show: false } },
      { stroke: color('--accent'), width: 2.5, points: { show: false } },
      { stroke: color('--chart-validation'), width: 2, spanGaps: true, points: { show: true, size: 6 } },
    ],
    hooks: { setCursor: [(plot) => onHover(plot.cursor.idx ?? null)] },
  };
}

/** The values at `index`, or the last ones. */
function readOut([steps, raw, smooth, held]: Curves, index: number | null): string {
  const at = index ?? steps.length - 1;
  const step = steps[at];
  if (step === undefined) return '';
  const validation = held[at] ?? held.slice(0, at + 1).findLast((loss) => loss !== null);
  const last = validation === undefined || validation === null ? '' : `   held out ${formatLoss(validation)}`;
  return `step ${step}   loss ${formatLoss(raw[at] ?? NaN)}   smoothed ${formatLoss(smooth[at] ?? NaN)}${last}`;
}

/** For each step its loss on held-out images, or null; what was measured before the first step stands there. */
function heldOutBySteps(validation: NonNullable<LossChartProps['validation']>, steps: number): (number | null)[] {
  const values = Array.from({ length: steps }, (): number | null => null);
  for (const { globalStep, loss } of validation)
    if (steps > 0 && globalStep <= steps) values[Math.max(0, globalStep - 1)] = loss;
  return values;
}

/** The drawing itself. Colours are read when it is made, so another theme needs another one (`key`). */
function Plot({ losses, validation = noPoints, maxTrainSteps }: LossChartProps) {
  const host = useRef<HTMLDivElement>(null);
  const readout = useRef<HTMLSpanElement>(null);
  const plot = useRef<uPlot | null>(null);
  const curves = useMemo<Curves>(
    () => [
      Array.from(losses.values, (_, index) => index + 1),
      Array.from(losses.values),
      smoothLosses(Array.from(losses.values)),
      heldOutBySteps(validation, losses.values.length),
    ],
    [losses, validation],
  );
  const latest = useRef(curves);

  useEffect(() => {
    latest.current = curves;
    plot.current?.setData(curves);
    if (readout.current !== null) readout.current.textContent = readOut(curves, plot.current?.cursor.idx ?? null);
  }, [curves]);

  useEffect(() => {
    const element = host.current;
    if (element === null) return undefined;
    const hovered = (index: number | null): void => {
      if (readout.current !== null) readout.current.textContent = readOut(latest.current, index);
    };
    const made = new uPlot(chartOptions(element, maxTrainSteps, hovered), latest.current, element);
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
  }, [maxTrainSteps]);

  const count = losses.values.length;
  const smoothed = formatLoss(curves[2].at(-1) ?? NaN);
  const summary = count === 0 ? 'No steps yet.' : `${count} steps, smoothed loss now ${smoothed}.`;
  return (
    <>
      <span className="chart-readout" ref={readout} aria-hidden="true" />
      <div className="chart-body">
        <div
          className="chart"
          ref={host}
          // oxlint-disable-next-line jsx-a11y/prefer-tag-over-role -- uPlot draws into an element, not an img
          role="img"
          aria-label={`Loss chart. ${summary}`}
          data-testid="loss-chart"
          data-steps={count}
        />
        {count === 0 && <p className="chart-empty">The curve begins with the first step.</p>}
      </div>
    </>
  );
}

/** Loss over steps: every step faint, the smoothed course bold, held-out images dotted; values of the step under the pointer above it. */
export function LossChart(props: LossChartProps) {
  const theme = useTheme();
  return (
    <section className="card chart-card" aria-label="Loss">
      <div className="card-head">
        <h3>Loss</h3>
        <Info term="loss" label="loss" />
      </div>
      <Plot key={theme} {...props} />
    </section>
  );
}
