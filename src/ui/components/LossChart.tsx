import { useEffect, useRef } from 'react';
import uPlot from 'uplot';
import { formatLoss } from '../../store/format.ts';
import { smoothLosses } from '../../store/smoothing.ts';
import { useTheme } from '../hooks/useTheme.ts';
import { Info } from './Info.tsx';

interface LossChartProps {
  /** Loss of step 1, 2, …; the wrapper is new whenever there are more. */
  readonly losses: { readonly values: readonly number[] };
  /** Right end of the axis, so that the curve grows into the room that it will need. */
  readonly maxTrainSteps: number;
}

function chartOptions(element: HTMLElement, maxTrainSteps: number, onHover: (index: number | null) => void): uPlot.Options {
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
    padding: [8, 8, 0, 0],
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
    ],
    hooks: { setCursor: [(plot) => onHover(plot.cursor.idx ?? null)] },
  };
}

/** Loss over steps: every step faint, the smoothed course bold; values of the step under the pointer above it. */
export function LossChart({ losses, maxTrainSteps }: LossChartProps) {
  const host = useRef<HTMLDivElement>(null);
  const readout = useRef<HTMLSpanElement>(null);
  const plot = useRef<uPlot | null>(null);
  const data = useRef<[number[], number[], number[]]>([[], [], []]);
  const theme = useTheme();

  const last = losses.values.length;
  const smoothed = smoothLosses(losses.values);
  data.current = [Array.from(losses.values, (_, index) => index + 1), [...losses.values], smoothed];

  const describe = (index: number | null): void => {
    const [steps, raw, smooth] = data.current;
    const at = index ?? steps.length - 1;
    if (readout.current === null) return;
    readout.current.textContent =
      steps[at] === undefined
        ? ''
        : `step ${steps[at]}   loss ${formatLoss(raw[at] ?? NaN)}   smoothed ${formatLoss(smooth[at] ?? NaN)}`;
  };

  useEffect(() => {
    const element = host.current;
    if (element === null) return undefined;
    const made = new uPlot(chartOptions(element, maxTrainSteps, describe), data.current, element);
    plot.current = made;
    const observer = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: element.clientHeight }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [theme, maxTrainSteps]);

  useEffect(() => {
    plot.current?.setData(data.current);
    describe(plot.current?.cursor.idx ?? null);
  }, [losses]);

  const summary = last === 0 ? 'No steps yet.' : `${last} steps, smoothed loss now ${formatLoss(smoothed.at(-1) ?? NaN)}.`;
  return (
    <section className="card chart-card" aria-label="Loss">
      <div className="card-head">
        <h3>Loss</h3>
        <Info term="loss" label="loss" />
        <span className="chart-readout" ref={readout} aria-hidden="true" />
      </div>
      <div className="chart-body">
        <div className="chart" ref={host} role="img" aria-label={`Loss chart. ${summary}`} data-testid="loss-chart" data-steps={last} />
        {last === 0 && <p className="chart-empty">The curve begins with the first step.</p>}
      </div>
    </section>
  );
}
