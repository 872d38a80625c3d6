import { Combine, Download } from 'lucide-react';
import { useState } from 'react';
import { type PlainError, toPlainError } from '../../../core/errors.ts';
import { formatBytes } from '../../../store/format.ts';
import type { ToolLora } from '../../../store/loraTools.ts';
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
import { useToolLoras, weightedInputs, WeightedPicks, type Weights } from './WeightedPicks.tsx';
import { WriteFields } from './WriteFields.tsx';

/** Adds several LoRAs up into one file, each times its weight. */
export function MergeDialog({ lora, onClose }: { readonly lora: ToolLora; readonly onClose: () => void }) {
  const loras = useToolLoras();
  const merged = useStudio((state) => state.lorasMerged);
  const busy = useStudio((state) => state.toolJob !== null);
  const [weights, setWeights] = useState<Weights>({ [lora.key]: 1 });
  const [rank, setRank] = useState('');
  const [title, setTitle] = useState('Merged');
  const [write, setWrite] = useState<Pick<LoraWriteOptions, 'form' | 'dtype'>>({ form: 'kohya', dtype: 'F16' });
  const [result, setResult] = useState<LoraCombined | null>(null);
  const [error, setError] = useState<PlainError | null>(null);
  const rankProblem =
    rank.trim() === '' ? null : explainNumber(rank, { label: 'Rank', min: 1, max: 1024, integer: true });
  const inputs = weightedInputs(loras, weights);
  const work = async (): Promise<void> => {
    setError(null);
    setResult(null);
    try {
      setResult(await merged(inputs, rank.trim() === '' ? null : Number(rank), title, write));
    } catch (thrown) {
      setError(toPlainError(thrown));
    }
  };
  return (
    <Modal
      open
      onClose={onClose}
      size="wide"
      title="Merge into one LoRA"
      detail="Each is added times its weight. Without a rank nothing is lost: the ranks add up."
      actions={
        <>
          <span className="modal-fact">{result === null ? '' : formatBytes(result.blob.size)}</span>
          <button
            type="button"
            className="button"
            disabled={busy || rankProblem !== null || inputs.length === 0 || title.trim() === ''}
            onClick={() => void work()}
          >
            <Combine size={14} aria-hidden="true" /> Merge {inputs.length}
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
      <div className="export-columns">
        <WeightedPicks
          loras={loras}
          weights={weights}
          onChange={(next) => {
            setWeights(next);
            setResult(null);
          }}
        />
        <div className="stack export-side">
          <TextField label="Title" value={title} onChange={setTitle} />
          <TextField
            label="Largest rank"
            term="rank"
            value={rank}
            placeholder="as it comes: nothing is lost"
            error={rankProblem ?? undefined}
            onChange={setRank}
          />
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
      </div>
    </Modal>
  );
}
