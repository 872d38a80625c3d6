import { ChevronRight, Search, X } from 'lucide-react';
import { useState } from 'react';
import { useShallow } from 'zustand/react/shallow';
import type { TrainField } from '../../store/trainForm.ts';
import { errorsInForm, fieldsChanged, optionsInForm } from '../../store/trainSettings.ts';
import { plural } from '../../store/format.ts';
import { useStudio } from '../StudioContext.tsx';
import { type SettingsGroup, settingsGroups, type Shown } from './groups.ts';
import { isAbout, SettingField } from './SettingField.tsx';
import { whyUnused } from './unused.ts';

function Fields({ fields }: { readonly fields: readonly Shown[] }) {
  return (
    <div className="setting-grid">
      {fields.map((shown) => (
        <div key={shown.field} className={shown.wide === true ? 'setting-wide' : undefined}>
          <SettingField {...shown} />
        </div>
      ))}
    </div>
  );
}

/** One group: its name and what stands in it in a line; behind it, its fields. */
function Group({ group }: { readonly group: SettingsGroup }) {
  const [open, setOpen] = useState(false);
  const summary = useStudio((state) => group.summary(optionsInForm(state)));
  const shown = useStudio(
    useShallow((state) => {
      const options = optionsInForm(state);
      return group.fields.filter(
        ({ field, onlyWhenUsed }) => onlyWhenUsed !== true || whyUnused(field, options) === null,
      );
    }),
  );
  const changed = useStudio((state) => group.fields.filter(({ field }) => fieldsChanged(state).has(field)).length);
  const wrong = useStudio(
    (state) => group.fields.filter(({ field }) => errorsInForm(state)[field] !== undefined).length,
  );
  return (
    <section className="setting-group" data-open={open} aria-label={group.title}>
      <button type="button" className="setting-head" aria-expanded={open} onClick={() => setOpen(!open)}>
        <ChevronRight size={14} aria-hidden="true" />
        <span className="setting-title">
          {group.title}
          {wrong > 0 && <span className="badge badge-wrong">{wrong} to correct</span>}
          {wrong === 0 && changed > 0 && <span className="badge">{changed} changed</span>}
        </span>
        {!open && <span className="setting-summary">{summary}</span>}
      </button>
      {open && <Fields fields={shown} />}
    </section>
  );
}

const allFields: readonly Shown[] = settingsGroups.flatMap(({ fields }) => fields);

function Found({ search }: { readonly search: string }) {
  // What is in the form's first sections is found here too.
  const more: readonly Shown[] = (['learningRate', 'maxTrainSteps', 'resolution', 'sampleEvery'] as const).map(
    (field: TrainField) => ({ field }),
  );
  const found = [...more, ...allFields].filter(({ field }) => isAbout(field, search));
  return (
    <>
      <p className="field-hint" aria-live="polite">
        {found.length === 0 ? 'No setting is about that.' : `${plural(found.length, 'setting')}:`}
      </p>
      <Fields fields={found} />
    </>
  );
}

/** Everything that can be set: in groups that stay closed until they are wanted, or by a word. */
export function SettingsGroups() {
  const [search, setSearch] = useState('');
  const wrong = useStudio(
    useShallow((state) => {
      const errors = errorsInForm(state);
      return allFields.filter(({ field }) => errors[field] !== undefined).map(({ field }) => field);
    }),
  );
  return (
    <section className="group settings-all">
      <h2>All settings</h2>
      <div className="search">
        <Search size={14} aria-hidden="true" />
        <input
          className="input"
          type="search"
          aria-label="Find a setting"
          placeholder="Find a setting"
          value={search}
          onChange={(event) => setSearch(event.target.value)}
          onKeyDown={(event) => {
            if (event.key === 'Escape') setSearch('');
          }}
        />
        {search !== '' && (
          <button type="button" className="icon-button" aria-label="Clear the search" onClick={() => setSearch('')}>
            <X size={14} aria-hidden="true" />
          </button>
        )}
      </div>
      {search.trim() !== '' && <Found search={search.trim()} />}
      {search.trim() === '' && wrong.length > 0 && (
        <p className="field-error">
          {plural(wrong.length, 'setting')} to correct, in the {wrong.length === 1 ? 'group' : 'groups'} marked below.
        </p>
      )}
      {search.trim() === '' && (
        <div className="setting-groups">
          {settingsGroups.map((group) => (
            <Group key={group.id} group={group} />
          ))}
        </div>
      )}
    </section>
  );
}
