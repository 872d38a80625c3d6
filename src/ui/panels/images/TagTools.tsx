import { Replace, Tag, X } from 'lucide-react';
import { type FormEvent, useMemo, useState } from 'react';
import { countTags } from '../../../core/captions.ts';
import { plural } from '../../../store/format.ts';
import type { TagEdit } from '../../../store/imageEdits.ts';
import type { DatasetImage } from '../../../worker/protocol.ts';
import { Info } from '../../components/Info.tsx';
import { useStudio } from '../../StudioContext.tsx';

/** Tags that are listed before the rest is asked for. */
const shortList = 14;

interface TagToolsProps {
  /** What the edits are for: the selected images, or all. */
  readonly images: readonly DatasetImage[];
  readonly isSelection: boolean;
  /** The tag whose images are shown, or null. */
  readonly chosen: string | null;
  readonly onChosen: (tag: string | null) => void;
}

/** Adds what is typed to all captions. */
function AddTag({ onEdit, label }: { readonly onEdit: (edit: TagEdit) => void; readonly label: string }) {
  const [tag, setTag] = useState('');
  const [place, setPlace] = useState<'start' | 'end'>('end');
  const add = (event: FormEvent): void => {
    event.preventDefault();
    if (tag.trim() === '') return;
    onEdit({ kind: 'add', tag: tag.trim(), place });
    setTag('');
  };
  return (
    <form className="tag-form" onSubmit={add}>
      <input
        className="input"
        aria-label={`Tag to add to ${label}`}
        placeholder="Add a tag"
        value={tag}
        onChange={(event) => setTag(event.target.value)}
      />
      <select
        className="select"
        aria-label="Where to add it"
        value={place}
        onChange={(event) => setPlace(event.target.value === 'start' ? 'start' : 'end')}
      >
        <option value="end">at the end</option>
        <option value="start">at the start</option>
      </select>
      <button type="submit" className="button" disabled={tag.trim() === ''}>
        Add
      </button>
    </form>
  );
}

/** What can be done to the chosen tag. */
function ChosenTag({
  tag,
  count,
  onEdit,
  onClose,
}: {
  readonly tag: string;
  readonly count: number;
  readonly onEdit: (edit: TagEdit) => void;
  readonly onClose: () => void;
}) {
  const [by, setBy] = useState(tag);
  const replace = (event: FormEvent): void => {
    event.preventDefault();
    onEdit({ kind: 'replace', tag, by: by.trim() });
    onClose();
  };
  return (
    <div className="tag-chosen">
      <p>
        <Tag size={13} aria-hidden="true" /> <strong>{tag}</strong> in {plural(count, 'caption')}
        <button type="button" className="icon-button" aria-label="Show all images again" onClick={onClose}>
          <X size={13} aria-hidden="true" />
        </button>
      </p>
      <form className="tag-form" onSubmit={replace}>
        <input
          className="input"
          aria-label={`Replace ${tag} by`}
          value={by}
          onChange={(event) => setBy(event.target.value)}
        />
        <button type="submit" className="button" disabled={by.trim() === '' || by.trim() === tag}>
          <Replace size={13} aria-hidden="true" /> Replace
        </button>
        <button
          type="button"
          className="button button-danger-quiet"
          onClick={() => {
            onEdit({ kind: 'remove', tag });
            onClose();
          }}
        >
          Remove
        </button>
      </form>
    </div>
  );
}

/** The tags of the captions by frequency, and edits of many captions at once. */
export function TagTools({ images, isSelection, chosen, onChosen }: TagToolsProps) {
  const tagsEdited = useStudio((state) => state.tagsEdited);
  const [open, setOpen] = useState(false);
  const tags = useMemo(() => countTags(images.map(({ caption }) => caption)), [images]);
  const shown = open ? tags : tags.slice(0, shortList);
  const label = isSelection ? plural(images.length, 'selected image') : 'all images';
  const edit = (change: TagEdit): void =>
    void tagsEdited(
      images.map(({ id }) => id),
      change,
    );
  const count = tags.find(({ tag }) => tag.toLowerCase() === chosen?.toLowerCase())?.count ?? 0;
  return (
    <section className="group" aria-labelledby="tags-title">
      <h2 id="tags-title">
        Tags <Info term="tag" label="a tag" />
        <span className="group-note">{label}</span>
      </h2>
      <AddTag onEdit={edit} label={label} />
      {chosen !== null && (
        <ChosenTag key={chosen} tag={chosen} count={count} onEdit={edit} onClose={() => onChosen(null)} />
      )}
      {tags.length > 0 && (
        <ul className="tag-list" aria-label="Tags by frequency">
          {shown.map(({ tag, count: captions }) => (
            <li key={tag}>
              <button
                type="button"
                className="tag-chip"
                aria-pressed={chosen?.toLowerCase() === tag.toLowerCase()}
                title={tag}
                onClick={() => onChosen(chosen === tag ? null : tag)}
              >
                <span className="tag-name">{tag}</span> <span className="tag-count">{captions}</span>
              </button>
            </li>
          ))}
        </ul>
      )}
      {tags.length > shortList && (
        <button type="button" className="link" onClick={() => setOpen(!open)}>
          {open ? 'Show fewer' : `Show all ${tags.length} tags`}
        </button>
      )}
    </section>
  );
}
