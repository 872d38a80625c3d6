import type { LoraForm, LoraWriteOptions } from '../../../worker/protocol.ts';
import { SegmentedChoice } from '../../components/SegmentedChoice.tsx';

const forms: readonly (readonly [LoraForm, string])[] = [
  ['kohya', 'kohya'],
  ['diffusers', 'diffusers'],
  ['peft', 'PEFT'],
];

const hints: Readonly<Record<LoraForm, string>> = {
  kohya: 'One file that every tool reads: A1111, Forge, ComfyUI, InvokeAI, diffusers.',
  diffusers: 'One file in diffusers’ own names, for its pipelines.',
  peft: 'A folder as peft saves it, zipped; for PeftModel.from_pretrained.',
};

export const precisions: readonly (readonly [LoraWriteOptions['dtype'], string])[] = [
  ['F16', 'Half (fp16)'],
  ['F32', 'Full (fp32)'],
];

interface WriteFieldsProps {
  readonly value: Pick<LoraWriteOptions, 'form' | 'dtype'>;
  readonly onChange: (value: Pick<LoraWriteOptions, 'form' | 'dtype'>) => void;
}

/** In which form and precision a LoRA is written. */
export function WriteFields({ value, onChange }: WriteFieldsProps) {
  return (
    <>
      <SegmentedChoice
        label="Form"
        term="loraForm"
        options={forms}
        value={value.form}
        onChange={(form) => onChange({ ...value, form })}
        hint={hints[value.form]}
      />
      <SegmentedChoice
        label="Precision"
        term="precision"
        options={precisions}
        value={value.dtype}
        onChange={(dtype) => onChange({ ...value, dtype })}
      />
    </>
  );
}
