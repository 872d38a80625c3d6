import { Download, Shrink } from 'lucide-react';
import { useState } from 'react';
import { type PlainError, toPlainError } from '../../../core/errors.ts';
import { formatBytes } from '../../../store/format.ts';
import { isReport, type ToolLora } from '../../../store/loraTools.ts';
import { saveBlob } from '../../../store/saveBlob.ts';
import { explainNumber } from '../../../store/trainForm.ts';
import type { LoraCombined, LoraWriteOptions } from '../../../worker/protocol.ts';
import { ErrorNote } from '../../components/ErrorNote.tsx';
import { TextField } from '../../components/Field.tsx';
import { Modal } from '../../components/Modal.tsx';
import { useStudio } from '../../StudioContext.tsx';
import { Errors } from './Errors.tsx';
import { ToolProgress } from './ToolProgress.tsx';
import { ToolVerdicts } from './ToolVerdicts.tsx';
import { WriteFields } from './WriteFields.tsx';

/** Brings a LoRA to a lower rank by singular values, and shows what that costs before it is saved. */
export function ResizeDialog({ lora, onClose }: { readonly lora: ToolLora; readonly onClose: () => void }) {
  const report = useStudio((state) => state.toolReports[lora.key]);
  const resized = useStudio((state) => state.loraResized);
  const busy = useStudio((state) => state.toolJob !== null);
  const most = report !== undefined && isReport(report) ? Math.max(1, ...report.description.ranks) : 128;
  const [rank, setRank] = useState(String(Math.max(1, Math.floor(most / 2))));
  const [write, setWrite] = useState<Pick<LoraWriteOptions, 'form' | 'dtype'>>({ form: 'kohya', dtype: 'F16' });
  const [result, setResult] = useState<LoraCombined | null>(null);
  const [error, setError] = useState<PlainError | null>(null);
  const problem = explainNumber(rank, { label: 'Rank', min: 1, max: 1024, integer: true });
  const work = async (): Promise<void> => {
    setError(null);
    setResult(null);
    try {
      setResult(await resized(lora.input, Number(rank), write));
    } catch (thrown) {
      setError(toPlainError(thrown));
    }
  };
  return (
    <Modal
      open
      onClose={onClose}
      title={`Resize “${lora.name}”`}
      detail={`Keeps the strongest directions of every layer (its singular values). It has rank ${most} now.`}
      actions={
        <>
          <span className="modal-fact">{result === null ? '' : formatBytes(result.blob.size)}</span>
          <button type="button" className="button" disabled={busy || problem !== null} onClick={() => void work()}>
            <Shrink size={14} aria-hidden="true" /> Resize
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
      <div className="stack">
        <TextField
          label="New rank"
          term="rank"
          value={rank}
          error={problem ?? undefined}
          inputMode="numeric"
          onChange={(text) => {
            setRank(text);
            setResult(null);
          }}
        />
        <WriteFields
          value={write}
          onChange={(next) => {
            setWrite(next);
            setResult(null);
          }}
        />
        <ToolProgress />
        {error !== null && <ErrorNote error={error} />}
        {result !== null && (
          <>
            <Errors result={result} />
            <ToolVerdicts tools={result.tools} />
          </>
        )}
      </div>
    </Modal>
  );
}
