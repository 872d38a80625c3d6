import { useMemo } from 'react';
import { describePicture } from '../../../store/gallery.ts';
import { Thumbnail } from '../../components/Thumbnail.tsx';
import { useStudio } from '../../StudioContext.tsx';

const shownPictures = 60;

/** The latest pictures, newest first. A click shows one; with Shift it is compared with the one that is shown. */
export function Filmstrip() {
  const pictures = useStudio((state) => state.pictures);
  const shownId = useStudio((state) => state.shownPictureId);
  const comparedId = useStudio((state) => state.comparedPictureId);
  const pictureShown = useStudio((state) => state.pictureShown);
  const comparisonChosen = useStudio((state) => state.comparisonChosen);
  const latest = useMemo(() => pictures.slice(-shownPictures).toReversed(), [pictures]);
  if (latest.length === 0) return null;
  return (
    <ul className="filmstrip" aria-label="Latest pictures">
      {latest.map((picture) => {
        const [lora] = picture.request.loras.filter(({ enabled = true }) => enabled);
        return (
          <li key={picture.id}>
            <button
              type="button"
              className={picture.id === comparedId ? 'film film-compared' : 'film'}
              aria-pressed={picture.id === shownId}
              title={comparedId === null ? 'Shift+click compares' : undefined}
              aria-label={`Show the picture with ${describePicture(picture)}`}
              onClick={(event) => {
                const compares = event.shiftKey || comparedId !== null;
                if (compares && picture.id !== shownId) comparisonChosen(picture.id);
                else pictureShown(picture.id);
              }}
            >
              <Thumbnail picture={picture} className="film-picture" />
              {lora !== undefined && picture.plot === undefined && (
                <span className="film-weight">{lora.weight.toFixed(2)}</span>
              )}
            </button>
          </li>
        );
      })}
    </ul>
  );
}
