import { Brush, ChevronLeft, ChevronRight, Crop, X } from 'lucide-react';
import { Dialog, Tabs } from 'radix-ui';
import { useCallback, useId, useRef, useState } from 'react';
import type { SizeOptions } from '../../../core/buckets.ts';
import type { DatasetImage } from '../../../worker/protocol.ts';
import { Info } from '../../components/Info.tsx';
import { usePreview } from '../../hooks/usePreview.ts';
import { useStudio } from '../../StudioContext.tsx';
import { CaptionField } from './CaptionField.tsx';
import { CropEditor } from './CropEditor.tsx';
import type { ImageTool } from './ImageCard.tsx';
import { MaskEditor } from './MaskEditor.tsx';

/** An open editor says how to store what was done in it: for when it is left. */
export type OnEdit = (store: () => Promise<void>) => void;

interface ImageDialogProps {
  readonly image: DatasetImage;
  readonly tool: ImageTool;
  readonly sizes: SizeOptions;
  readonly onTool: (tool: ImageTool) => void;
  readonly onClose: () => void;
  /** Moves to a neighbour; absent where there is none. */
  readonly onPrevious?: (() => void) | undefined;
  readonly onNext?: (() => void) | undefined;
}

/** How an image counts: how often it is shown, and whether it is kept for validation. */
function ImageCounts({ image }: { readonly image: DatasetImage }) {
  const imagesChanged = useStudio((state) => state.imagesChanged);
  const [draft, setDraft] = useState<string | null>(null);
  const repeatsId = useId();
  const { id, fileName, repeats, heldOut } = image;
  const store = (text: string): void => {
    const value = Number(text);
    const changed = text.trim() === '' ? null : Math.min(1000, Math.max(1, Math.round(value)));
    setDraft(null);
    if (!Number.isNaN(value) && changed !== repeats)
      void imagesChanged([{ id, repeats: changed }], `Repeats of ${fileName} changed`);
  };
  return (
    <div className="image-counts">
      <div className="check-row">
        <label htmlFor={repeatsId}>Repeats</label>
        <Info term="repeats" label="repeats" />
        <input
          id={repeatsId}
          className="input"
          inputMode="numeric"
          placeholder="as all"
          value={draft ?? repeats ?? ''}
          onChange={(event) => setDraft(event.target.value)}
          onBlur={(event) => draft !== null && store(event.target.value)}
          onKeyDown={(event) => event.key === 'Enter' && store(event.currentTarget.value)}
        />
      </div>
      <div className="check-row">
        <label>
          <input
            type="checkbox"
            checked={heldOut}
            onChange={() =>
              void imagesChanged(
                [{ id, heldOut: !heldOut }],
                heldOut ? `${fileName} is trained on again` : `${fileName} kept for validation`,
              )
            }
          />
          Keep for validation
        </label>
        <Info term="validationSplit" label="validation" />
      </div>
    </div>
  );
}

/** One image, large: its crop, its mask, and how it counts. What is done is kept when it is left; the room's Undo takes it back. */
export function ImageDialog({ image, tool, sizes, onTool, onClose, onPrevious, onNext }: ImageDialogProps) {
  const url = usePreview(image.id);
  const store = useRef<(() => Promise<void>) | null>(null);
  const onEdit = useCallback<OnEdit>((next) => {
    store.current = next;
  }, []);
  const turns = useRef(0);
  const leave = async (then: (() => void) | undefined): Promise<void> => {
    turns.current += 1;
    const turn = turns.current;
    // Taken first: it may be left twice, by a press and the focus that follows it, and the next editor may be there before this one is stored.
    const save = store.current;
    store.current = null;
    await save?.();
    // Whatever was asked for last counts: a dialog that was closed meanwhile must not open the next image.
    if (turn === turns.current) then?.();
  };
  return (
    <Dialog.Root open onOpenChange={(open) => !open && void leave(onClose)}>
      <Dialog.Portal>
        <div className="backdrop" />
        <Dialog.Content className="dialog image-dialog" aria-describedby={undefined}>
          <Tabs.Root
            className="image-dialog-body"
            value={tool}
            onValueChange={(value) => void leave(() => onTool(value === 'mask' ? 'mask' : 'crop'))}
          >
            <header className="image-dialog-head">
              <Dialog.Title className="image-dialog-title">{image.fileName}</Dialog.Title>
              <span className="image-dialog-size">
                {image.width} × {image.height}
              </span>
              <Tabs.List className="segmented" aria-label="Tools">
                <Tabs.Trigger value="crop">
                  <Crop size={14} aria-hidden="true" /> Crop
                </Tabs.Trigger>
                <Tabs.Trigger value="mask">
                  <Brush size={14} aria-hidden="true" /> Mask
                </Tabs.Trigger>
              </Tabs.List>
              <span className="toolbar-gap" />
              <button
                type="button"
                className="icon-button"
                aria-label="Previous image"
                disabled={!onPrevious}
                onClick={() => void leave(onPrevious)}
              >
                <ChevronLeft size={18} aria-hidden="true" />
              </button>
              <button
                type="button"
                className="icon-button"
                aria-label="Next image"
                disabled={!onNext}
                onClick={() => void leave(onNext)}
              >
                <ChevronRight size={18} aria-hidden="true" />
              </button>
              <Dialog.Close className="icon-button" aria-label="Close">
                <X size={18} aria-hidden="true" />
              </Dialog.Close>
            </header>
            <div className="image-dialog-work" key={`${image.id} ${tool}`}>
              {url === null && <div className="image-stage" aria-busy="true" />}
              {url !== null && tool === 'crop' && <CropEditor image={image} url={url} sizes={sizes} onEdit={onEdit} />}
              {url !== null && tool === 'mask' && <MaskEditor image={image} url={url} sizes={sizes} onEdit={onEdit} />}
            </div>
            <div className="image-caption" key={image.id}>
              <span className="field-head" aria-hidden="true">
                Caption
              </span>
              <CaptionField image={image} />
            </div>
            <footer className="image-dialog-foot">
              <ImageCounts key={image.id} image={image} />
              <span className="toolbar-gap" />
              <button type="button" className="button button-primary" onClick={() => void leave(onClose)}>
                Done
              </button>
            </footer>
          </Tabs.Root>
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
