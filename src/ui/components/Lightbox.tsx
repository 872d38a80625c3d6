import { ChevronLeft, ChevronRight, X } from 'lucide-react';
import { Dialog } from 'radix-ui';
import { BlobImage } from './BlobImage.tsx';

interface LightboxProps {
  readonly blob: Blob | null;
  readonly title: string;
  readonly detail: string;
  readonly onClose: () => void;
  /** Moves to a neighbour; absent where there is none. */
  readonly onPrevious?: (() => void) | undefined;
  readonly onNext?: (() => void) | undefined;
}

/** One picture, as large as the window allows. Arrow keys move, Escape and a click beside it close. */
export function Lightbox({ blob, title, detail, onClose, onPrevious, onNext }: LightboxProps) {
  return (
    <Dialog.Root open={blob !== null} onOpenChange={(open) => !open && onClose()}>
      <Dialog.Portal>
        <div className="backdrop backdrop-dark" />
        <Dialog.Content
          className="lightbox"
          onKeyDown={(event) => {
            if (event.key === 'ArrowLeft') onPrevious?.();
            if (event.key === 'ArrowRight') onNext?.();
          }}
        >
          {blob !== null && <BlobImage blob={blob} alt={title} className="lightbox-picture" />}
          <div className="lightbox-foot">
            <button
              type="button"
              className="icon-button"
              aria-label="Earlier"
              disabled={!onPrevious}
              onClick={onPrevious}
            >
              <ChevronLeft size={18} aria-hidden="true" />
            </button>
            <div className="lightbox-text">
              <Dialog.Title>{title}</Dialog.Title>
              <Dialog.Description>{detail}</Dialog.Description>
            </div>
            <button type="button" className="icon-button" aria-label="Later" disabled={!onNext} onClick={onNext}>
              <ChevronRight size={18} aria-hidden="true" />
            </button>
            <Dialog.Close className="icon-button" aria-label="Close">
              <X size={18} aria-hidden="true" />
            </Dialog.Close>
          </div>
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
