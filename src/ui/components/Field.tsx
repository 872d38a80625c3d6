import { type ReactNode, useId } from 'react';
import type { Term } from '../glossary.ts';
import { Info } from './Info.tsx';

interface ControlProps {
  readonly id: string;
  readonly 'aria-invalid': boolean;
  readonly 'aria-describedby': string | undefined;
}

interface FieldProps {
  readonly label: string;
  /** What its small question mark says: a word of the glossary, or a text. */
  readonly term?: Term;
  readonly about?: string;
  readonly hint?: ReactNode;
  readonly error?: string | undefined;
  readonly aside?: ReactNode;
  readonly children: (control: ControlProps) => ReactNode;
}

/** A label, its control, and what there is to say about it: one anatomy for the whole studio. */
export function Field({ label, term, about, hint, error, aside, children }: FieldProps) {
  const id = useId();
  const noteId = `${id}-note`;
  const hasNote = error !== undefined || hint !== undefined;
  return (
    <div className="field">
      <div className="field-head">
        <label htmlFor={id}>{label}</label>
        {term !== undefined && <Info term={term} label={label.toLowerCase()} />}
        {about !== undefined && <Info text={about} label={label.toLowerCase()} />}
        {aside !== undefined && <span className="field-aside">{aside}</span>}
      </div>
      {children({ id, 'aria-invalid': error !== undefined, 'aria-describedby': hasNote ? noteId : undefined })}
      {hasNote && (
        <p id={noteId} className={error === undefined ? 'field-hint' : 'field-error'}>
          {error ?? hint}
        </p>
      )}
    </div>
  );
}

interface TextFieldProps extends Omit<FieldProps, 'children'> {
  readonly value: string;
  readonly onChange: (value: string) => void;
  readonly inputMode?: 'decimal' | 'numeric' | 'url';
  readonly type?: 'text' | 'password';
  readonly placeholder?: string;
  readonly disabled?: boolean;
  readonly suffix?: string;
  readonly autoComplete?: string;
}

/** A field with a one-line input. */
export function TextField(props: TextFieldProps) {
  const {
    value,
    onChange,
    inputMode,
    type = 'text',
    placeholder,
    disabled,
    suffix,
    autoComplete = 'off',
    ...field
  } = props;
  return (
    <Field {...field}>
      {(control) => (
        <span className="input-wrap">
          <input
            {...control}
            className="input"
            type={type}
            value={value}
            inputMode={inputMode}
            placeholder={placeholder}
            disabled={disabled}
            autoComplete={autoComplete}
            spellCheck={false}
            onChange={(event) => onChange(event.target.value)}
          />
          {suffix !== undefined && <span className="input-suffix">{suffix}</span>}
        </span>
      )}
    </Field>
  );
}
