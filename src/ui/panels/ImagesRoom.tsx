import { ArrowRight, FlaskConical, FolderOpen, ImagePlus, Trash2, TriangleAlert, Undo2, X } from 'lucide-react';
import { useCallback, useEffect, useId, useMemo, useState } from 'react';
import { useDropzone } from 'react-dropzone';
import { captionWithTrigger, tagsOf } from '../../core/captions.ts';
import { formatEta, plural } from '../../store/format.ts';
import type { DatasetImage } from '../../worker/protocol.ts';
import { TextField } from '../components/Field.tsx';
import { Hint, Info } from '../components/Info.tsx';
import { ProgressBar } from '../components/ProgressBar.tsx';
import { SampleSets } from '../components/SampleSets.tsx';
import { useElapsed } from '../hooks/useElapsed.ts';
import { useSizeOptions } from '../hooks/useSizeOptions.ts';
import { useStudio } from '../StudioContext.tsx';
import { BucketSummary } from './images/BucketSummary.tsx';
import { ImageCard, type ImageTool } from './images/ImageCard.tsx';
import { ImageDialog } from './images/ImageDialog.tsx';
import { MaskTint } from './images/ImageFigure.tsx';
import { TagTools } from './images/TagTools.tsx';

/** Pictures pasted anywhere in the room, unless into a text. */
function usePastedImages(onFiles: (files: readonly File[]) => unknown): void {
  useEffect(() => {
    const paste = (event: ClipboardEvent): void => {
      const files = [...(event.clipboardData?.files ?? [])];
      if (files.length === 0) return;
      event.preventDefault();
      onFiles(files);
    };
    document.addEventListener('paste', paste);
    return () => document.removeEventListener('paste', paste);
  }, [onFiles]);
}

function RefusedFiles() {
  const refused = useStudio((state) => state.refused);
  const refusedDismissed = useStudio((state) => state.refusedDismissed);
  if (refused.length === 0) return null;
  return (
    <section className="card refused" role="alert" aria-label="Files that were not taken">
      <div className="card-head">
        <TriangleAlert size={15} aria-hidden="true" className="warn-icon" />
        <h3>{plural(refused.length, 'file was', 'files were')} not taken</h3>
        <button
          type="button"
          className="icon-button card-close"
          aria-label="Dismiss the list"
          onClick={refusedDismissed}
        >
          <X size={14} aria-hidden="true" />
        </button>
      </div>
      <ul className="refused-list">
        {refused.map(({ fileName, error }, index) => (
          <li key={index}>
            <strong>{fileName}</strong>
            <span>
              {error.message} <em>{error.remedy}</em>
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function AddingProgress() {
  const adding = useStudio((state) => state.adding);
  const addingCancelled = useStudio((state) => state.addingCancelled);
  const elapsed = useElapsed(adding?.startedAt ?? null);
  if (adding === null) return null;
  const eta = adding.done === 0 ? null : (elapsed / adding.done) * (adding.total - adding.done);
  return (
    <output className="card adding">
      <span>
        Reading image {Math.min(adding.done + 1, adding.total)} of {adding.total}
      </span>
      <ProgressBar label="Reading images" value={adding.done / adding.total} />
      <span className="adding-eta">{formatEta(eta)}</span>
      <button type="button" className="button button-small" onClick={addingCancelled}>
        Cancel
      </button>
    </output>
  );
}

function TriggerWord() {
  const triggerWord = useStudio((state) => state.triggerWord);
  const triggerWordEdited = useStudio((state) => state.triggerWordEdited);
  const sample = useStudio(
    (state) => state.images.find(({ caption }) => caption !== '')?.caption ?? state.images[0]?.caption,
  );
  const preview = captionWithTrigger(triggerWord, sample ?? 'a dog on the beach');
  return (
    <div className="stack">
      <TextField
        label="Trigger word"
        term="triggerWord"
        value={triggerWord}
        placeholder="sks"
        onChange={triggerWordEdited}
        hint="A short made-up word. Put in front of every caption."
      />
      <div className="preview">
        <span className="preview-label">The model reads</span>
        {preview === '' ? <em>nothing: add a trigger word or captions</em> : <q>{preview}</q>}
      </div>
    </div>
  );
}

type Filter = 'all' | 'uncaptioned' | 'masked' | 'cropped' | 'heldOut';

const filters: Readonly<Record<Filter, { readonly label: string; readonly has: (image: DatasetImage) => boolean }>> = {
  all: { label: 'All images', has: () => true },
  uncaptioned: { label: 'Without a caption', has: ({ caption }) => caption.trim() === '' },
  cropped: { label: 'Cropped by hand', has: ({ crop }) => crop !== null },
  masked: { label: 'With a mask', has: ({ mask }) => mask !== null },
  heldOut: { label: 'Kept for validation', has: ({ heldOut }) => heldOut },
};

function hasTag(caption: string, tag: string): boolean {
  return tagsOf(caption).some((other) => other.toLowerCase() === tag.toLowerCase());
}

/** Undoes the latest edit: by the button, or Ctrl+Z anywhere but in a text. */
function UndoButton() {
  const title = useStudio((state) => state.imageUndos.at(-1)?.title);
  const imageUndoPressed = useStudio((state) => state.imageUndoPressed);
  useEffect(() => {
    const press = (event: KeyboardEvent): void => {
      const inText = event.target instanceof HTMLElement && /^(INPUT|TEXTAREA)$/.test(event.target.tagName);
      if (event.key !== 'z' || !(event.ctrlKey || event.metaKey) || event.shiftKey || inText) return;
      event.preventDefault();
      void imageUndoPressed();
    };
    document.addEventListener('keydown', press);
    return () => document.removeEventListener('keydown', press);
  }, [imageUndoPressed]);
  if (title === undefined) return null;
  return (
    <Hint text={title}>
      <button type="button" className="button" onClick={() => void imageUndoPressed()}>
        <Undo2 size={14} aria-hidden="true" /> Undo
      </button>
    </Hint>
  );
}

/** What fills the transparent parts of images, where some have any. */
function Transparency() {
  const count = useStudio((state) => state.images.filter(({ hasAlpha }) => hasAlpha).length);
  const background = useStudio((state) => state.background);
  const backgroundChosen = useStudio((state) => state.backgroundChosen);
  const inputId = useId();
  if (count === 0) return null;
  return (
    <section className="group">
      <div className="colour-row">
        <label htmlFor={inputId}>Transparent parts</label>
        <Info term="transparency" label="transparency" />
        <span className="group-note">{plural(count, 'image')}</span>
        <input
          id={inputId}
          type="color"
          value={background}
          onChange={(event) => backgroundChosen(event.target.value)}
        />
      </div>
    </section>
  );
}

/** Whether masks count, where images have some. */
function Masks() {
  const count = useStudio((state) => state.images.filter(({ mask }) => mask !== null).length);
  const counts = useStudio((state) => state.trainForm.maskedLoss === 'true');
  const isTraining = useStudio((state) => state.isTraining);
  const edited = useStudio((state) => state.trainFieldEdited);
  if (count === 0) return null;
  return (
    <section className="group">
      <div className="check-row">
        <label>
          <input
            type="checkbox"
            checked={counts}
            disabled={isTraining}
            onChange={(event) => edited('maskedLoss', String(event.target.checked))}
          />
          Use masks
        </label>
        <Info term="mask" label="a mask" />
        <span className="group-note">{plural(count, 'image')}</span>
      </div>
    </section>
  );
}

function Tips() {
  return (
    <section className="group">
      <h2>What works well</h2>
      <ul className="tips">
        <li>5 to 30 good pictures beat 200 mixed ones.</li>
        <li>Vary the background, the light and the angle: what stays the same is what gets learned.</li>
        <li>Caption what should stay changeable. Leave out what should be learned.</li>
        <li>
          Have captions already? Drop the <code>.txt</code> files along with the images of the same name; folders, zips,{' '}
          <code>metadata.jsonl</code> and <code>name.mask.png</code> are understood, too.
        </li>
      </ul>
    </section>
  );
}

interface SelectionToolsProps {
  readonly shown: readonly DatasetImage[];
}

function SelectionTools({ shown }: SelectionToolsProps) {
  const selectedIds = useStudio((state) => state.selectedImageIds);
  const images = useStudio((state) => state.images);
  const imagesRemoved = useStudio((state) => state.imagesRemoved);
  const imagesChanged = useStudio((state) => state.imagesChanged);
  const imageSelectionSet = useStudio((state) => state.imageSelectionSet);
  const selected = images.filter(({ id }) => selectedIds.has(id));
  const allSelected = shown.length > 0 && shown.every(({ id }) => selectedIds.has(id));
  const allHeld = selected.every(({ heldOut }) => heldOut);
  return (
    <>
      {selected.length > 0 && (
        <>
          <button
            type="button"
            className="button"
            onClick={() =>
              void imagesChanged(
                selected.map(({ id }) => ({ id, heldOut: !allHeld })),
                `${plural(selected.length, 'image')} ${allHeld ? 'trained on again' : 'kept for validation'}`,
              )
            }
          >
            <FlaskConical size={14} aria-hidden="true" /> {allHeld ? 'Train on' : 'Keep for validation'}
          </button>
          <button
            type="button"
            className="button button-danger-quiet"
            onClick={() => void imagesRemoved(selected.map(({ id }) => id))}
          >
            <Trash2 size={14} aria-hidden="true" /> Remove {selected.length}
          </button>
        </>
      )}
      <button
        type="button"
        className="button"
        onClick={() => imageSelectionSet(allSelected ? [] : shown.map(({ id }) => id))}
      >
        {allSelected ? 'Select none' : 'Select all'}
      </button>
    </>
  );
}

export function ImagesRoom() {
  const images = useStudio((state) => state.images);
  const loaded = useStudio((state) => state.imagesLoaded);
  const selectedIds = useStudio((state) => state.selectedImageIds);
  const hasTrigger = useStudio((state) => state.triggerWord.trim() !== '');
  const imagesDropped = useStudio((state) => state.imagesDropped);
  const roomOpened = useStudio((state) => state.roomOpened);
  const sizes = useSizeOptions();
  const [filter, setFilter] = useState<Filter>('all');
  const [tag, setTag] = useState<string | null>(null);
  const [opened, setOpened] = useState<{ readonly id: string; readonly tool: ImageTool } | null>(null);
  const { getRootProps, getInputProps, isDragActive, open } = useDropzone({
    onDrop: (accepted) => void imagesDropped(accepted),
    noClick: true,
    noKeyboard: true,
  });
  usePastedImages(imagesDropped);
  const openTool = useCallback((id: string, tool: ImageTool) => setOpened({ id, tool }), []);
  const withoutCaption = images.filter(filters.uncaptioned.has).length;
  const heldOut = images.filter(filters.heldOut.has).length;
  const shown = useMemo(
    () => images.filter((image) => filters[filter].has(image) && (tag === null || hasTag(image.caption, tag))),
    [images, filter, tag],
  );
  const selected = useMemo(() => images.filter(({ id }) => selectedIds.has(id)), [images, selectedIds]);
  const at = opened === null ? -1 : shown.findIndex(({ id }) => id === opened.id);
  const openedImage = images.find(({ id }) => id === opened?.id);
  const neighbour = (index: number): (() => void) | undefined => {
    const image = at < 0 ? undefined : shown[index];
    return image && opened ? () => setOpened({ id: image.id, tool: opened.tool }) : undefined;
  };

  return (
    <div className="workspace">
      <h1 className="visually-hidden">Images</h1>
      <aside className="inspector" aria-label="About the images">
        <div className="inspector-scroll">
          <section className="group">
            <TriggerWord />
          </section>
          {images.length > 0 && (
            <>
              <BucketSummary />
              <TagTools
                images={selected.length > 0 ? selected : images}
                isSelection={selected.length > 0}
                chosen={tag}
                onChosen={setTag}
              />
            </>
          )}
          <Masks />
          <Transparency />
          <Tips />
          {images.length > 0 && (
            <section className="group">
              <h2>Sample sets</h2>
              <SampleSets compact />
            </section>
          )}
        </div>
        <div className="inspector-foot">
          <p className="foot-fact">
            <strong>
              {plural(images.length, 'image')}
              {heldOut > 0 && `, ${heldOut} for validation`}
            </strong>
            {withoutCaption > 0 && (
              <span className="warn-text">
                {withoutCaption} without a caption{hasTrigger ? ': only the trigger word is learned there' : ''}
              </span>
            )}
          </p>
          <button
            type="button"
            className="button button-primary button-large button-wide"
            disabled={images.length === 0}
            onClick={() => roomOpened('train')}
          >
            Continue to training <ArrowRight size={15} aria-hidden="true" />
          </button>
        </div>
      </aside>
      <main
        {...getRootProps({ role: 'main', className: isDragActive ? 'stage stage-drop' : 'stage' })}
        aria-label="Images"
      >
        <input {...getInputProps({ 'aria-label': 'Add image files' })} data-testid="image-input" />
        {images.length === 0 && loaded ? (
          <div className="drop-empty">
            <div className="drop-art" aria-hidden="true">
              <span />
              <span />
              <span>
                <ImagePlus size={30} strokeWidth={1.5} />
              </span>
            </div>
            <h2 className="headline">Drop your images here</h2>
            <p>Files, whole folders or a zip; pasting works too. They stay in this browser.</p>
            <button type="button" className="button button-primary button-large" onClick={open}>
              <FolderOpen size={15} aria-hidden="true" /> Choose files
            </button>
            <p className="drop-kinds">PNG, JPEG, WebP, GIF, AVIF · captions as .txt files of the same name</p>
          </div>
        ) : (
          <div className="toolbar" role="toolbar" aria-label="Image tools">
            <button type="button" className="button button-primary" onClick={open}>
              <ImagePlus size={15} aria-hidden="true" /> Add images
            </button>
            <select
              className="select toolbar-filter"
              aria-label="Images to show"
              value={filter}
              onChange={(event) => setFilter(event.target.value as Filter)}
            >
              {(Object.keys(filters) as Filter[]).map((key) => (
                <option key={key} value={key}>
                  {filters[key].label} ({images.filter(filters[key].has).length})
                </option>
              ))}
            </select>
            <UndoButton />
            <span className="toolbar-gap" />
            <SelectionTools shown={shown} />
          </div>
        )}
        {images.length === 0 && loaded && (
          <section className="samples-offer" aria-labelledby="samples-title">
            <h2 id="samples-title">No images at hand? Begin with these</h2>
            <SampleSets />
          </section>
        )}
        <AddingProgress />
        <RefusedFiles />
        <MaskTint />
        <ul className="image-grid" aria-label="Training images" hidden={images.length === 0}>
          {shown.map((image) => (
            <ImageCard key={image.id} image={image} sizes={sizes} onOpen={openTool} />
          ))}
        </ul>
        {images.length > 0 && shown.length === 0 && (
          <p className="nothing-shown">
            No image here.{' '}
            <button
              type="button"
              className="link"
              onClick={() => {
                setFilter('all');
                setTag(null);
              }}
            >
              Show all {images.length}
            </button>
          </p>
        )}
        {isDragActive && (
          <div className="drop-veil" aria-hidden="true">
            <ImagePlus size={36} strokeWidth={1.5} />
            <span>Let go to add</span>
          </div>
        )}
      </main>
      {opened !== null && openedImage !== undefined && (
        <ImageDialog
          image={openedImage}
          tool={opened.tool}
          sizes={sizes}
          onTool={(tool) => setOpened({ id: opened.id, tool })}
          onClose={() => setOpened(null)}
          onPrevious={neighbour(at - 1)}
          onNext={neighbour(at + 1)}
        />
      )}
    </div>
  );
}
