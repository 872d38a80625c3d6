import type { ReactNode } from 'react';
import {
  type GenerateForm,
  generateFormErrors,
  type GenerateNumberField,
  generateRules,
} from '../../../store/generateForm.ts';
import { sizesInUse } from '../../../store/modelDefaults.ts';
import { Field, TextField } from '../../components/Field.tsx';
import type { Term } from '../../glossary.ts';
import { useStudio } from '../../StudioContext.tsx';

interface NumberFieldProps {
  readonly field: GenerateNumberField;
  readonly term?: Term;
  readonly suffix?: string;
  readonly label?: string;
}

/** A number of the form, with its label and what is wrong with it. */
export function NumberField({ field, term, suffix, label }: NumberFieldProps) {
  const value = useStudio((state) => state.generateForm[field]);
  const error = useStudio((state) => generateFormErrors(state.generateForm, sizesInUse(state))[field]);
  const ruleLabel = useStudio((state) => generateRules(sizesInUse(state))[field].label);
  const edited = useStudio((state) => state.generateFieldEdited);
  return (
    <TextField
      label={label ?? ruleLabel}
      value={value}
      error={error}
      inputMode="decimal"
      onChange={(text) => edited(field, text)}
      {...(term === undefined ? {} : { term })}
      {...(suffix === undefined ? {} : { suffix })}
    />
  );
}

interface ChoiceFieldProps<F extends keyof GenerateForm> {
  readonly field: F;
  readonly label: string;
  readonly term?: Term;
  readonly options: readonly (readonly [value: GenerateForm[F], label: string])[];
  readonly hint?: ReactNode;
  readonly disabled?: boolean;
}

/** One of a few values of the form. */
export function ChoiceField<F extends keyof GenerateForm>({
  field,
  label,
  term,
  options,
  hint,
  disabled = false,
}: ChoiceFieldProps<F>) {
  const value = useStudio((state) => state.generateForm[field]);
  const edited = useStudio((state) => state.generateFieldEdited);
  return (
    <Field label={label} hint={hint} {...(term === undefined ? {} : { term })}>
      {(control) => (
        <select
          {...control}
          className="select"
          value={value}
          disabled={disabled}
          onChange={(event) => {
            const chosen = options.find(([option]) => option === event.target.value);
            if (chosen) edited(field, chosen[0]);
          }}
        >
          {options.map(([option, text]) => (
            <option key={option} value={option}>
              {text}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}
