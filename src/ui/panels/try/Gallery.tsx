import { Columns2, Download, Trash2 } from 'lucide-react';
import { memo, useCallback, useMemo, useRef, useState } from 'react';
import { useShallow } from 'zustand/react/shallow';
import { describePicture } from '../../../store/gallery.ts';
import { formatBytes, formatDate, plural } from '../../../store/format.ts';
import type { GalleryPicture } from '../../../worker/protocol.ts';
import { LogoMark } from '../../components/Logo.tsx';
import { Thumbnail } from '../../components/Thumbnail.tsx';
import { useStudio } from '../../StudioContext.tsx';

interface GalleryCardProps {
  readonly picture: GalleryPicture;
  /** `extend`: all between the one toggled before and this one. */
  readonly onToggle: (id: string, extend: boolean) => void;
}

const GalleryCard = memo(function GalleryCard({ picture, onToggle }: GalleryCardProps) {
  const selected = useStudio((state) => state.selectedPictureIds.has(picture.id));
  const shown = useStudio((state) => state.pictureShown);
  const viewOpened = useStudio((state) => state.tryViewOpened);
  const { request } = picture;
  const about = describePicture(picture);
  return (
    <li className={selected ? 'image-card image-card-selected gallery-card' : 'image-card gallery-card'}>
      <div className="image-frame">
        <button
          type="button"
          className="gallery-open"
          aria-label={`Show: ${request.prompt}, ${about}`}
          onClick={() => {
            shown(picture.id);
            viewOpened('picture');
          }}
        >
          <Thumbnail picture={picture} className="gallery-picture" />
        </button>
        <label className="image-check">
          <input
            type="checkbox"
            checked={selected}
            onChange={(event) => onToggle(picture.id, (event.nativeEvent as MouseEvent).shiftKey)}
            aria-label={`Select ${request.prompt}, ${about}`}
          />
        </label>
      </div>
      <div className="gallery-text">
        <span title={request.prompt}>{request.prompt === '' ? 'no prompt' : request.prompt}</span>
        <small title={about}>{about}</small>
        <small>{formatDate(picture.savedAt)}</small>
      </div>
    </li>
  );
});

function Storage({ pictures }: { readonly pictures: readonly GalleryPicture[] }) {
  const bytes = useMemo(() => pictures.reduce((sum, { png }) => sum + png.size, 0), [pictures]);
  const storage = useStudio((state) => state.storage);
  return (
    <span className="toolbar-hint">
      {plural(pictures.length, 'picture')}, {formatBytes(bytes)}
      {storage !== null && `; ${formatBytes(storage.quotaBytes - storage.usageBytes)} free`}
    </span>
  );
}

/** Every picture that was drawn and kept, newest first: searched by its prompt, selected, saved, compared, deleted. */
export function Gallery() {
  const pictures = useStudio((state) => state.pictures);
  const selected = useStudio(
    useShallow((state) => state.pictures.filter(({ id }) => state.selectedPictureIds.has(id))),
  );
  const selectionSet = useStudio((state) => state.pictureSelectionSet);
  const selectionAdded = useStudio((state) => state.pictureSelectionAdded);
  const toggled = useStudio((state) => state.pictureSelectionToggled);
  const removed = useStudio((state) => state.picturesRemoved);
  const saved = useStudio((state) => state.pictureSaved);
  const shown = useStudio((state) => state.pictureShown);
  const comparisonChosen = useStudio((state) => state.comparisonChosen);
  const viewOpened = useStudio((state) => state.tryViewOpened);
  const [query, setQuery] = useState('');
  const found = useMemo(() => {
    const words = query.toLowerCase().trim();
    return pictures.filter(({ parameters }) => parameters.toLowerCase().includes(words)).toReversed();
  }, [pictures, query]);
  const toggledBefore = useRef<string | null>(null);
  const toggle = useCallback(
    (id: string, extend: boolean): void => {
      const places = [toggledBefore.current, id].map((one) => found.findIndex((picture) => picture.id === one));
      toggledBefore.current = id;
      const [from = -1, to = -1] = places.toSorted((a, b) => a - b);
      if (!extend || from < 0) toggled(id);
      else selectionAdded(found.slice(from, to + 1).map((picture) => picture.id));
    },
    [found, toggled, selectionAdded],
  );
  if (pictures.length === 0) {
    return (
      <div className="try-empty">
        <LogoMark size={56} />
        <h2 className="headline">Nothing drawn yet</h2>
        <p>Every picture is kept here with its settings, in this browser only, until you delete it.</p>
      </div>
    );
  }
  const [one, two] = selected;
  return (
    <div className="gallery">
      <div className="toolbar" role="toolbar" aria-label="Gallery tools">
        <input
          className="input gallery-search"
          type="search"
          aria-label="Search prompts and settings"
          placeholder="Search prompts and settings"
          value={query}
          onChange={(event) => setQuery(event.target.value)}
        />
        <Storage pictures={pictures} />
        <span className="toolbar-gap" />
        {one !== undefined && (
          <>
            {two !== undefined && selected.length === 2 && (
              <button
                type="button"
                className="button"
                onClick={() => {
                  shown(two.id);
                  comparisonChosen(one.id);
                  viewOpened('picture');
                }}
              >
                <Columns2 size={14} aria-hidden="true" /> Compare
              </button>
            )}
            <button
              type="button"
              className="button"
              onClick={() => {
                for (const picture of selected) void saved(picture, 'png');
              }}
            >
              <Download size={14} aria-hidden="true" /> Save {selected.length}
            </button>
            <button
              type="button"
              className="button button-danger-quiet"
              onClick={() => void removed(selected.map(({ id }) => id))}
            >
              <Trash2 size={14} aria-hidden="true" /> Delete {selected.length}
            </button>
          </>
        )}
        <button
          type="button"
          className="button"
          onClick={() => selectionSet(selected.length === found.length ? [] : found.map(({ id }) => id))}
        >
          {selected.length === found.length && found.length > 0 ? 'Select none' : 'Select all'}
        </button>
      </div>
      <ul className="gallery-grid" aria-label="Gallery">
        {found.map((picture) => (
          <GalleryCard key={picture.id} picture={picture} onToggle={toggle} />
        ))}
      </ul>
    </div>
  );
}
