import { useState } from 'react';
import { plural } from '../../store/format.ts';
import type { SampleRow } from '../../worker/protocol.ts';
import { BlobImage } from './BlobImage.tsx';
import { Lightbox } from './Lightbox.tsx';

interface StoryGridProps {
  readonly rows: readonly SampleRow[];
  /** Said while there is no row yet. */
  readonly emptyText: string;
}

/** The story of a training: the same prompts and seeds, row by row as the steps go by, newest at the bottom. */
export function StoryGrid({ rows, emptyText }: StoryGridProps) {
  const [open, setOpen] = useState<{ row: number; column: number } | null>(null);
  const prompts = rows.at(-1)?.images ?? [];
  const openRow = open === null ? undefined : rows[open.row];
  const openImage = open === null ? undefined : openRow?.images[open.column];
  const neighbour = (delta: number): (() => void) | undefined => {
    if (open === null || rows[open.row + delta]?.images[open.column] === undefined) return undefined;
    return () => setOpen({ ...open, row: open.row + delta });
  };
  return (
    <section className="card story-card" aria-label="How it learns" data-testid="story-grid" data-rows={rows.length}>
      <div className="card-head">
        <h3>How it learns</h3>
        <span className="card-note">
          {rows.length === 0 ? 'same prompts, same seeds, row by row' : plural(rows.length, 'row')}
        </span>
      </div>
      {rows.length === 0 ? (
        <p className="story-empty">{emptyText}</p>
      ) : (
        <div className="story-scroll">
          <table className="story">
            <thead>
              <tr>
                <th scope="col">
                  <span className="visually-hidden">Step</span>
                </th>
                {prompts.map(({ prompt, seed }, index) => (
                  <th key={index} scope="col" title={prompt}>
                    <span className="story-prompt">{prompt}</span>
                    <span className="story-seed">seed {seed}</span>
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.map((row, rowIndex) => (
                <tr key={row.globalStep}>
                  <th scope="row">
                    <span className="story-step">
                      <span>step</span> {row.globalStep}
                    </span>
                  </th>
                  {row.images.map((image, column) => (
                    <td key={column}>
                      <button
                        type="button"
                        className="story-cell"
                        aria-label={`Enlarge: ${image.prompt}, step ${row.globalStep}`}
                        onClick={() => setOpen({ row: rowIndex, column })}
                      >
                        <BlobImage blob={image.png} alt="" className="story-picture" />
                      </button>
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      <Lightbox
        blob={openImage?.png ?? null}
        title={openImage?.prompt ?? ''}
        detail={`Step ${openRow?.globalStep ?? 0} · seed ${openImage?.seed ?? 0}`}
        onClose={() => setOpen(null)}
        onPrevious={neighbour(-1)}
        onNext={neighbour(1)}
      />
    </section>
  );
}
