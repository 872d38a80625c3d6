import { ArrowRight, FolderOpen, ImagePlus, Trash2, TriangleAlert, X } from 'lucide-react';
import { memo, useEffect, useState } from 'react';
import { useDropzone } from 'react-dropzone';
import { captionWithTrigger } from '../../core/captions.ts';
import { formatEta, plural } from '../../store/format.ts';
import type { DatasetImage } from '../../worker/protocol.ts';
import { BlobImage } from '../components/BlobImage.tsx';
import { TextField } from '../components/Field.tsx';
import { ProgressBar } from '../components/ProgressBar.tsx';
import { SampleSets } from '../components/SampleSets.tsx';
import { useElapsed } from '../hooks/useElapsed.ts';
import { useStudio } from '../StudioContext.tsx';

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

const ImageCard = memo(function ImageCard({ image }: { readonly image: DatasetImage }) {
  const selected = useStudio((state) => state.selectedImageIds.has(image.id));
  const imageSelectionToggled = useStudio((state) => state.imageSelectionToggled);
  const captionEdited = useStudio((state) => state.captionEdited);
  const imagesRemoved = useStudio((state) => state.imagesRemoved);
  // Only what is being typed; otherwise the caption itself, which a .txt file dropped later may change.
  const [draft, setDraft] = useState<string | null>(null);
  const text = draft ?? image.caption;
  const isEmpty = text.trim() === '';
  return (
    <li className={selected ? 'image-card image-card-selected' : 'image-card'}>
      <div className="image-frame">
        <BlobImage
          blob={image.thumbnail}
          alt={image.caption === '' ? image.fileName : image.caption}
          className="image-thumb"
        />
        <label className="image-check">
          <input
            type="checkbox"
            checked={selected}
            onChange={() => imageSelectionToggled(image.id)}
            aria-label={`Select ${image.fileName}`}
          />
        </label>
        <button
          type="button"
          className="icon-button image-remove"
          aria-label={`Remove ${image.fileName}`}
          onClick={() => void imagesRemoved([image.id])}
        >
          <X size={14} aria-hidden="true" />
        </button>
      </div>
      <div className="image-facts">
        <span className="image-name" title={image.fileName}>
          {image.fileName}
        </span>
        <span className="image-size">
          {image.width} × {image.height}
        </span>
      </div>
      <textarea
        className={isEmpty ? 'caption caption-empty' : 'caption'}
        aria-label={`Caption of ${image.fileName}`}
        placeholder="What is on the picture?"
        rows={3}
        value={text}
        onChange={(event) => setDraft(event.target.value)}
        onBlur={() => {
          const caption = text.trim();
          if (caption !== image.caption) void captionEdited(image.id, caption);
          setDraft(null);
        }}
      />
    </li>
  );
});

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

export function ImagesRoom() {
  const images = useStudio((state) => state.images);
  const loaded = useStudio((state) => state.imagesLoaded);
  const selectedIds = useStudio((state) => state.selectedImageIds);
  const hasTrigger = useStudio((state) => state.triggerWord.trim() !== '');
  const imagesDropped = useStudio((state) => state.imagesDropped);
  const imagesRemoved = useStudio((state) => state.imagesRemoved);
  const imageSelectionSet = useStudio((state) => state.imageSelectionSet);
  const roomOpened = useStudio((state) => state.roomOpened);
  const { getRootProps, getInputProps, isDragActive, open } = useDropzone({
    onDrop: (accepted) => void imagesDropped(accepted),
    noClick: true,
    noKeyboard: true,
  });
  usePastedImages(imagesDropped);
  const withoutCaption = images.filter(({ caption }) => caption.trim() === '').length;
  const allSelected = images.length > 0 && selectedIds.size === images.length;

  return (
    <div className="workspace">
      <aside className="inspector" aria-label="About the images">
        <div className="inspector-scroll">
          <section className="group">
            <TriggerWord />
          </section>
          <section className="group">
            <h2>What works well</h2>
            <ul className="tips">
              <li>5 to 30 good pictures beat 200 mixed ones.</li>
              <li>Vary the background, the light and the angle: what stays the same is what gets learned.</li>
              <li>Caption what should stay changeable. Leave out what should be learned.</li>
              <li>
                Have captions already? Drop the <code>.txt</code> files along with the images of the same name.
              </li>
            </ul>
          </section>
          {images.length > 0 && (
            <section className="group">
              <h2>Sample sets</h2>
              <SampleSets compact />
            </section>
          )}
        </div>
        <div className="inspector-foot">
          <p className="foot-fact">
            <strong>{plural(images.length, 'image')}</strong>
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
      <main {...getRootProps({ className: isDragActive ? 'stage stage-drop' : 'stage' })} aria-label="Images">
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
            <h1>Drop your images here</h1>
            <p>Files or whole folders; pasting works too. They stay in this browser.</p>
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
            <span className="toolbar-hint">or drop and paste them anywhere here</span>
            <span className="toolbar-gap" />
            {selectedIds.size > 0 && (
              <button
                type="button"
                className="button button-danger-quiet"
                onClick={() => void imagesRemoved([...selectedIds])}
              >
                <Trash2 size={14} aria-hidden="true" /> Remove {selectedIds.size}
              </button>
            )}
            <button
              type="button"
              className="button"
              onClick={() => imageSelectionSet(allSelected ? [] : images.map(({ id }) => id))}
            >
              {allSelected ? 'Select none' : 'Select all'}
            </button>
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
        <ul className="image-grid" aria-label="Training images" hidden={images.length === 0}>
          {images.map((image) => (
            <ImageCard key={image.id} image={image} />
          ))}
        </ul>
        {isDragActive && (
          <div className="drop-veil" aria-hidden="true">
            <ImagePlus size={36} strokeWidth={1.5} />
            <span>Let go to add</span>
          </div>
        )}
      </main>
    </div>
  );
}
