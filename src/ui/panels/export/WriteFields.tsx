import type { LoraForm, LoraWriteOptions } from '../../../worker/protocol.ts';
import { Info } from '../../components/Info.tsx';

const forms: readonly (readonly [LoraForm, string, string])[] = [
  ['kohya', 'kohya', 'One file that every tool reads: A1111, Forge, ComfyUI, InvokeAI, diffusers.'],
  ['diffusers', 'diffusers', 'One file in diffusers’ own names, for its pipelines.'],
  ['peft', 'PEFT', 'A folder as peft saves it, zipped; for PeftModel.from_pretrained.'],
];

interface WriteFieldsProps {
  readonly value: Pick<LoraWriteOptions, 'form' | 'dtype'>;
  readonly onChange: (value: Pick<LoraWriteOptions, 'form' | 'dtype'>) => void;
}

/** In which form and precision a LoRA is written. */
export function WriteFields({ value, onChange }: WriteFieldsProps) {
  return (
    <>
      <fieldset className="choice-field">
        <legend>
          Form <Info term="loraForm" label="the form" />
        </legend>
        <div className="segmented">
          {forms.map(([form, label]) => (
            <button
              key={form}
              type="button"
              className="segment"
              aria-pressed={value.form === form}
              onClick={() => onChange({ ...value, form })}
            >
              {label}
            </button>
          ))}
        </div>
        <p className="field-hint">{forms.find(([form]) => form === value.form)?.[2]}</p>
      </fieldset>
      <fieldset className="choice-field">
        <legend>
          Precision <Info term="precision" label="precision" />
        </legend>
        <div className="segmented">
          <button
            type="button"
            className="segment"
            aria-pressed={value.dtype === 'F16'}
            onClick={() => onChange({ ...value, dtype: 'F16' })}
          >
            Half (fp16)
          </button>
          <button
            type="button"
            className="segment"
            aria-pressed={value.dtype === 'F32'}
            onClick={() => onChange({ ...value, dtype: 'F32' })}
          >
            Full (fp32)
          </button>
        </div>
      </fieldset>
    </>
  );
}
