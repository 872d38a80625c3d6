import { memo } from 'react';
import type { PlotAxis } from '../../../core/plot.ts';
import type { Plot, PlotCell } from '../../../store/plot.ts';
import { axisLabels } from '../../../store/plotAxes.ts';
import { BlobImage } from '../../components/BlobImage.tsx';

interface CellProps {
  readonly cell: PlotCell | undefined;
  readonly index: number;
  readonly isNext: boolean;
  readonly onOpen: (index: number) => void;
}

const Cell = memo(function Cell({ cell, index, isNext, onOpen }: CellProps) {
  if (cell?.png) {
    return (
      <button type="button" className="story-cell plot-cell" aria-label="Enlarge" onClick={() => onOpen(index)}>
        <BlobImage blob={cell.png} alt="" className="story-picture" />
      </button>
    );
  }
  if (cell?.error)
    return (
      <div className="plot-cell plot-failed" title={`${cell.error.message} ${cell.error.remedy}`}>
        {cell.error.message}
      </div>
    );
  return <div className={isNext ? 'plot-cell plot-empty plot-next' : 'plot-cell plot-empty'} />;
});

function titleOf(axis: PlotAxis | undefined): string {
  return axis === undefined ? '' : axisLabels[axis.kind].replace(/:.*/, '');
}

/** One value without a name where there is no axis. */
function valuesOf(axis: PlotAxis | undefined): readonly string[] {
  return axis?.values ?? [''];
}

/** The plot as tables: one for each value of Z, a column for each of X, a row for each of Y. Cells fill as they are drawn. */
export function PlotGrid({ plot, onOpen }: { readonly plot: Plot; readonly onOpen: (index: number) => void }) {
  const [x, y, z] = plot.axes;
  const { columns } = plot;
  const running = plot.endedAt === null;
  return (
    <div className="plot-scroll" data-testid="plot-grid">
      {valuesOf(z).map((layer, k) => (
        <table
          className="story plot-table"
          key={k}
          style={{ '--columns': Math.max(2, columns) } as React.CSSProperties}
        >
          {z !== undefined && (
            <caption>
              {titleOf(z)}: <strong>{layer}</strong>
            </caption>
          )}
          <thead>
            <tr>
              <th scope="col">
                <span className="plot-axis">{titleOf(y)}</span>
              </th>
              {valuesOf(x).map((label, i) => (
                <th key={i} scope="col">
                  {i === 0 && <span className="plot-axis">{titleOf(x)}</span>}
                  <span className="plot-label" title={label}>
                    {label}
                  </span>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {valuesOf(y).map((label, j) => (
              <tr key={j}>
                <th scope="row">
                  <span className="plot-label" title={label}>
                    {label}
                  </span>
                </th>
                {valuesOf(x).map((_, i) => {
                  const index = (k * plot.rows + j) * columns + i;
                  return (
                    <td key={i}>
                      <Cell
                        cell={plot.cells[index]}
                        index={index}
                        isNext={running && index === plot.at}
                        onOpen={onOpen}
                      />
                    </td>
                  );
                })}
              </tr>
            ))}
          </tbody>
        </table>
      ))}
    </div>
  );
}
