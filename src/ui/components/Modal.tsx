import { X } from 'lucide-react';
import { Dialog } from 'radix-ui';
import type { ReactNode } from 'react';

interface ModalProps {
  readonly open: boolean;
  readonly onClose: () => void;
  readonly title: string;
  readonly detail?: ReactNode;
  /** `wide` for what has two columns or a table. */
  readonly size?: 'medium' | 'wide';
  /** Buttons at the foot. */
  readonly actions?: ReactNode;
  readonly children: ReactNode;
}

/** A window over the page. No Radix overlay: it would inject a style element, which the CSP forbids. */
export function Modal({ open, onClose, title, detail, size = 'medium', actions, children }: ModalProps) {
  return (
    <Dialog.Root open={open} onOpenChange={(next) => !next && onClose()}>
      <Dialog.Portal>
        <div className="backdrop" />
        <Dialog.Content
          className={`modal modal-${size}`}
          // What is said below the title is optional, and Radix wants to know.
          {...(detail === undefined ? { 'aria-describedby': undefined } : {})}
        >
          <header className="modal-head">
            <div>
              <Dialog.Title className="dialog-title">{title}</Dialog.Title>
              {detail !== undefined && <Dialog.Description className="modal-detail">{detail}</Dialog.Description>}
            </div>
            <Dialog.Close className="icon-button" aria-label="Close">
              <X size={16} aria-hidden="true" />
            </Dialog.Close>
          </header>
          <div className="modal-body">{children}</div>
          {actions !== undefined && <footer className="modal-foot">{actions}</footer>}
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
