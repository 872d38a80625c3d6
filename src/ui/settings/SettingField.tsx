import { RotateCcw } from 'lucide-react';
import { trainOptionRules, type TrainOptionPath } from '../../core/trainOptionRules.ts';
import { hasHalfPrecision } from '../../store/gpu.ts';
import { labelOf, type TrainField } from '../../store/trainForm.ts';
import { basePreset, errorsInForm, fieldsChanged, optionsInForm } from '../../store/trainSettings.ts';
import { Field, TextField } from '../components/Field.tsx';
import { Hint, Info } from '../components/Info.tsx';
import { Switch } from '../components/Switch.tsx';
import { useStudio } from '../StudioContext.tsx';
import { adviceOn } from './advice.ts';
import { explanations } from './explanations.ts';
import type { Shown } from './groups.ts';
import { whyUnused } from './unused.ts';

/** What a preset's text is called before a person. */
function inWords(text: string, words: Shown['words']): string {
  if (words?.[text] !== undefined) return words[text];
  if (text === 'true' || text === 'false') return text === 'true' ? 'on' : 'off';
  return text === '' ? 'nothing' : text;
}

/** The mark of a field that is not as in the preset; pressing it puts it back. */
function ChangedMark({ field, words }: Pick<Shown, 'field' | 'words'>) {
  const name = useStudio((state) => basePreset(state).name);
  const original = useStudio((state) => basePreset(state).form[field]);
  const edited = useStudio((state) => state.trainFormEdited);
  const back = `Back to ${inWords(original, words)}, as in ${name}`;
  return (
    <Hint text={back}>
      <button
        type="button"
        className="changed-mark"
        aria-label={`${labelOf(field)}: ${back}`}
        onClick={() => edited({ [field]: original })}
      >
        <RotateCcw size={11} aria-hidden="true" />
      </button>
    </Hint>
  );
}

interface SettingFieldProps extends Shown {
  /** There is no choice, for this reason. */
  readonly fixed?: string;
}

/** One setting: its control, what is wrong or odd about it, why it is not used, and whether it differs from the preset. */
export function SettingField({ field, suffix, words, placeholder, fixed }: SettingFieldProps) {
  const text = useStudio((state) => state.trainForm[field]);
  const error = useStudio((state) => errorsInForm(state)[field]);
  const unused = useStudio((state) => whyUnused(field, optionsInForm(state)));
  const advice = useStudio((state) => adviceOn(field, optionsInForm(state)));
  const changed = useStudio((state) => fieldsChanged(state).has(field));
  // What was brought along from elsewhere stays open, to be taken back.
  const lacking = useStudio(
    (state) => field === 'mixedPrecision' && state.trainForm[field] === 'no' && !hasHalfPrecision(state),
  );
  const edited = useStudio((state) => state.trainFieldEdited);
  const label = labelOf(field);
  const rule = field in trainOptionRules ? trainOptionRules[field as TrainOptionPath] : undefined;
  const disabled = unused !== null || fixed !== undefined || lacking;
  const hint =
    fixed ??
    unused ??
    (lacking ? 'This GPU, or this browser on it, cannot compute in 16 bits.' : null) ??
    (advice === null ? undefined : <span className="warn-text">{advice}</span>);
  const common = {
    label,
    about: explanations[field],
    error: unused === null ? error : undefined,
    aside: changed ? <ChangedMark field={field} {...(words === undefined ? {} : { words })} /> : undefined,
    ...(hint === undefined ? {} : { hint }),
  };
  if (rule?.kind === 'flag') {
    return (
      <SettingSwitch
        {...common}
        checked={text === 'true'}
        disabled={disabled}
        onChange={(on) => edited(field, String(on))}
      />
    );
  }
  if (rule?.kind === 'choice') {
    const choices = words ?? Object.fromEntries(rule.choices.map((choice) => [choice, choice]));
    return (
      <Field {...common}>
        {(control) => (
          <select
            {...control}
            className="select"
            value={text}
            disabled={disabled}
            onChange={(event) => edited(field, event.target.value)}
          >
            {Object.entries(choices).map(([value, name]) => (
              <option key={value} value={value}>
                {name}
              </option>
            ))}
          </select>
        )}
      </Field>
    );
  }
  return (
    <TextField
      {...common}
      value={text}
      disabled={disabled}
      {...(rule?.kind === 'number' ? { inputMode: 'decimal' as const } : {})}
      {...(suffix === undefined ? {} : { suffix })}
      {...(placeholder === undefined ? {} : { placeholder })}
      onChange={(value) => edited(field, value)}
    />
  );
}

interface SettingSwitchProps {
  readonly label: string;
  readonly about: string;
  readonly error: string | undefined;
  readonly aside: React.ReactNode;
  readonly hint?: React.ReactNode;
  readonly checked: boolean;
  readonly disabled: boolean;
  readonly onChange: (on: boolean) => void;
}

function SettingSwitch({ label, about, error, aside, hint, checked, disabled, onChange }: SettingSwitchProps) {
  return (
    <div className="field setting-switch">
      <div className="field-head">
        <Switch label={label} checked={checked} disabled={disabled} onChange={onChange} />
        <span>{label}</span>
        <Info text={about} label={label.toLowerCase()} />
        {aside !== undefined && <span className="field-aside">{aside}</span>}
      </div>
      {(error ?? hint) !== undefined && (
        <p className={error === undefined ? 'field-hint' : 'field-error'}>{error ?? hint}</p>
      )}
    </div>
  );
}

/** Whether a setting is about what somebody looks for: every word is in its name or its explanation. */
export function isAbout(field: TrainField, search: string): boolean {
  const text = `${labelOf(field)} ${field} ${explanations[field]}`.toLowerCase();
  return search
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}
