import { memo } from 'react';
import type { Plot, PlotCell } from '../../../store/plot.ts';
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

/** The plot as tables: one for each value of Z, a column for each of X, a row for each of Y. Cells fill as they are drawn. */
export function PlotGrid({ plot, onOpen }: { readonly plot: Plot; readonly onOpen: (index: number) => void }) {
  const [x, y, z] = plot.axes;
  const columns = x.labels.length;
  const running = plot.endedAt === null;
  return (
    <div className="plot-scroll" data-testid="plot-grid">
      {z.labels.map((layer, k) => (
        <table className="story plot-table" key={k}>
          {z.title !== '' && (
            <caption>
              {z.title}: <strong>{layer}</strong>
            </caption>
          )}
          <thead>
            <tr>
              <th scope="col">
                <span className="plot-axis">{y.title}</span>
              </th>
              {x.labels.map((label, i) => (
                <th key={i} scope="col">
                  {i === 0 && <span className="plot-axis">{x.title}</span>}
                  <span className="plot-label" title={label}>
                    {label}
                  </span>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {y.labels.map((label, j) => (
              <tr key={j}>
                <th scope="row">
                  <span className="plot-label" title={label}>
                    {label}
                  </span>
                </th>
                {x.labels.map((_, i) => {
                  const index = (k * y.labels.length + j) * columns + i;
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
