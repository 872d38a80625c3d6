import type { Term } from '../glossary.ts';
import { Info } from './Info.tsx';

interface SegmentedChoiceProps<V extends string> {
  readonly label: string;
  /** Of the question mark beside the label. */
  readonly term?: Term;
  readonly options: readonly (readonly [value: V, label: string])[];
  readonly value: V;
  readonly onChange: (value: V) => void;
  readonly hint?: string | undefined;
}

/** One of two or three, all of them in sight. */
export function SegmentedChoice<V extends string>(props: SegmentedChoiceProps<V>) {
  const { label, term, options, value, onChange, hint } = props;
  return (
    <fieldset className="choice-field">
      <legend>
        {label} {term !== undefined && <Info term={term} label={label.toLowerCase()} />}
      </legend>
      <div className="segmented">
        {options.map(([option, text]) => (
          <button
            key={option}
            type="button"
            className="segment"
            aria-pressed={option === value}
            onClick={() => onChange(option)}
          >
            {text}
          </button>
        ))}
      </div>
      {hint !== undefined && <p className="field-hint">{hint}</p>}
    </fieldset>
  );
}
