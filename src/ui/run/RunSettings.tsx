import { useState } from 'react';
import type { TrainOptions } from '../../core/trainOptions.ts';
import { formOf, isPercent, labelOf, trainFields, type TrainField } from '../../store/trainForm.ts';
import { defaultTrainOptions } from '../../core/trainOptions.ts';
import { settingsGroups } from '../settings/groups.ts';

const shown = new Map(settingsGroups.flatMap(({ fields }) => fields).map((field) => [field.field, field]));
const usual = formOf(defaultTrainOptions);
/** Always worth a look, whether they are as usual or not. */
const always: ReadonlySet<TrainField> = new Set([
  'rank',
  'alpha',
  'learningRate',
  'maxTrainSteps',
  'trainBatchSize',
  'resolution',
  'seed',
  'optimizer.name',
  'lrScheduler.name',
]);

function inWords(field: TrainField, text: string): string {
  const { words, suffix } = shown.get(field) ?? {};
  if (words?.[text] !== undefined) return words[text];
  if (text === 'true' || text === 'false') return text === 'true' ? 'on' : 'off';
  if (text === '') return 'none';
  return suffix === undefined || isPercent(field) ? `${text}${isPercent(field) ? ' %' : ''}` : `${text} ${suffix}`;
}

/** The settings of a run: what is not as usual, or all of them. */
export function RunSettings({ options }: { readonly options: TrainOptions }) {
  const [all, setAll] = useState(false);
  const form = formOf(options);
  const fields = trainFields.filter((field) => all || always.has(field) || form[field] !== usual[field]);
  return (
    <section className="card" aria-label="Settings">
      <div className="card-head">
        <h3>Settings</h3>
        <button type="button" className="link card-note" onClick={() => setAll(!all)}>
          {all ? 'Only what is not as usual' : `All ${trainFields.length}`}
        </button>
      </div>
      <dl className="run-settings">
        {fields.map((field) => (
          <div key={field} className={form[field] === usual[field] ? undefined : 'run-setting-changed'}>
            <dt>{labelOf(field)}</dt>
            <dd>{inWords(field, form[field])}</dd>
          </div>
        ))}
        {options.samplePrompts.length > 0 && (
          <div className="run-prompts">
            <dt>Sample prompts</dt>
            <dd>{options.samplePrompts.map(({ prompt }) => prompt).join(' · ')}</dd>
          </div>
        )}
      </dl>
    </section>
  );
}
