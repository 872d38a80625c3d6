import { CakeSlice } from 'lucide-react';
import { useState } from 'react';
import { type PlainError, toPlainError } from '../../../core/errors.ts';
import { shortModelName } from '../../../store/format.ts';
import type { ToolLora } from '../../../store/loraTools.ts';
import type { BakeOptions } from '../../../worker/protocol.ts';
import { ErrorNote } from '../../components/ErrorNote.tsx';
import { Field, TextField } from '../../components/Field.tsx';
import { Modal } from '../../components/Modal.tsx';
import { SegmentedChoice } from '../../components/SegmentedChoice.tsx';
import { useStudio } from '../../StudioContext.tsx';
import { ToolProgress } from './ToolProgress.tsx';
import { precisions } from './WriteFields.tsx';
import { useToolLoras, weightedInputs, WeightedPicks, type Weights } from './WeightedPicks.tsx';

const layouts: readonly (readonly [BakeOptions['layout'], string])[] = [
  ['single', 'One file'],
  ['folder', 'diffusers folder'],
];

/** Writes a whole model with LoRAs in its weights, for tools that know no LoRAs. */
export function BakeDialog({ lora, onClose }: { readonly lora: ToolLora; readonly onClose: () => void }) {
  const loras = useToolLoras();
  const models = useStudio((state) => state.models);
  const selected = useStudio((state) => state.selectedModelId);
  const baked = useStudio((state) => state.lorasBaked);
  const busy = useStudio((state) => state.toolJob !== null);
  const toastShown = useStudio((state) => state.toastShown);
  const [weights, setWeights] = useState<Weights>({ [lora.key]: 1 });
  const [modelId, setModelId] = useState(selected ?? '');
  const [layout, setLayout] = useState<BakeOptions['layout']>('single');
  const [dtype, setDtype] = useState<BakeOptions['dtype']>('F16');
  const [title, setTitle] = useState(`${lora.name} model`);
  const [error, setError] = useState<PlainError | null>(null);
  const inputs = weightedInputs(loras, weights);
  const work = async (): Promise<void> => {
    setError(null);
    try {
      const done = await baked({ modelId, loras: inputs, layout, dtype, title });
      if (done) toastShown({ kind: 'success', title: 'Model written', detail: title });
    } catch (thrown) {
      setError(toPlainError(thrown));
    }
  };
  return (
    <Modal
      open
      onClose={onClose}
      size="wide"
      title="Bake into a model"
      detail="The LoRAs become part of the model’s weights: a model that needs no LoRA any more."
      actions={
        <button
          type="button"
          className="button button-primary"
          disabled={busy || modelId === '' || inputs.length === 0 || title.trim() === ''}
          onClick={() => void work()}
        >
          <CakeSlice size={14} aria-hidden="true" /> Bake and save
        </button>
      }
    >
      <div className="export-columns">
        <WeightedPicks loras={loras} weights={weights} onChange={setWeights} />
        <div className="stack export-side">
          <Field label="Model">
            {(control) => (
              <select
                {...control}
                className="select"
                value={modelId}
                onChange={(event) => setModelId(event.target.value)}
              >
                {models.map(({ id }) => (
                  <option key={id} value={id}>
                    {shortModelName(id)}
                  </option>
                ))}
              </select>
            )}
          </Field>
          <TextField label="Title" value={title} onChange={setTitle} />
          <SegmentedChoice
            label="As"
            options={layouts}
            value={layout}
            onChange={setLayout}
            hint={
              layout === 'single'
                ? 'A .safetensors checkpoint for A1111, Forge and ComfyUI.'
                : 'A zip of the folder that diffusers loads.'
            }
          />
          <SegmentedChoice label="Precision" term="precision" options={precisions} value={dtype} onChange={setDtype} />
          <ToolProgress />
          {error !== null && <ErrorNote error={error} />}
        </div>
      </div>
    </Modal>
  );
}
