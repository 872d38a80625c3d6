import { Download, type LucideIcon } from 'lucide-react';
import { type ReactNode, useState } from 'react';
import { type PlainError, toPlainError } from '../../../core/errors.ts';
import { formatBytes } from '../../../store/format.ts';
import { saveBlob } from '../../../store/saveBlob.ts';
import type { LoraCombined, LoraWriteOptions } from '../../../worker/protocol.ts';
import { ErrorNote } from '../../components/ErrorNote.tsx';
import { Modal } from '../../components/Modal.tsx';
import { useStudio } from '../../StudioContext.tsx';
import { Errors } from './Errors.tsx';
import { ToolProgress } from './ToolProgress.tsx';
import { ToolVerdicts } from './ToolVerdicts.tsx';
import { WriteFields } from './WriteFields.tsx';

interface CombineDialogProps {
  readonly title: string;
  readonly detail: string;
  readonly action: { readonly label: string; readonly icon: LucideIcon };
  /** Everything that the work depends on, as a text: when it changes, what was made before is no longer offered. */
  readonly wish: string;
  /** False while a field is wrong. */
  readonly ready: boolean;
  readonly work: (write: LoraWriteOptions) => Promise<LoraCombined | null>;
  readonly onClose: () => void;
  /** Stands in a column of its own. */
  readonly picks?: ReactNode;
  /** The fields beside the file's form. */
  readonly children: ReactNode;
}

/** Makes a LoRA out of others and shows what that costs before it is saved: what merging and resizing have in common. */
export function CombineDialog({
  title,
  detail,
  action,
  wish,
  ready,
  work,
  onClose,
  picks,
  children,
}: CombineDialogProps) {
  const busy = useStudio((state) => state.toolJob !== null);
  const [write, setWrite] = useState<Pick<LoraWriteOptions, 'form' | 'dtype'>>({ form: 'kohya', dtype: 'F16' });
  const [made, setMade] = useState<{ readonly to: string; readonly file: LoraCombined } | null>(null);
  const [error, setError] = useState<PlainError | null>(null);
  const asked = JSON.stringify([wish, write]);
  const result = made?.to === asked ? made.file : null;
  const start = async (): Promise<void> => {
    setError(null);
    setMade(null);
    try {
      const file = await work(write);
      if (file !== null) setMade({ to: asked, file });
    } catch (thrown) {
      setError(toPlainError(thrown));
    }
  };
  const Icon = action.icon;
  const fields = (
    <div className={picks === undefined ? 'stack' : 'stack export-side'}>
      {children}
      <WriteFields value={write} onChange={setWrite} />
      <ToolProgress />
      {error !== null && <ErrorNote error={error} />}
      {result !== null && (
        <>
          <Errors result={result} />
          <ToolVerdicts tools={result.tools} />
        </>
      )}
    </div>
  );
  return (
    <Modal
      open
      onClose={onClose}
      {...(picks === undefined ? {} : { size: 'wide' as const })}
      title={title}
      detail={detail}
      actions={
        <>
          <span className="modal-fact">{result === null ? '' : formatBytes(result.blob.size)}</span>
          <button type="button" className="button" disabled={busy || !ready} onClick={() => void start()}>
            <Icon size={14} aria-hidden="true" /> {action.label}
          </button>
          <button
            type="button"
            className="button button-primary"
            disabled={result === null}
            onClick={() => result !== null && saveBlob(result.blob, result.fileName)}
          >
            <Download size={14} aria-hidden="true" /> Save file
          </button>
        </>
      }
    >
      {picks === undefined ? (
        fields
      ) : (
        <div className="export-columns">
          {picks}
          {fields}
        </div>
      )}
    </Modal>
  );
}
