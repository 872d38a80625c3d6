import { ChevronDown, Download, Pencil, RotateCcw, Trash2, Upload } from 'lucide-react';
import { DropdownMenu } from 'radix-ui';
import { useRef, useState } from 'react';
import { useShallow } from 'zustand/react/shallow';
import { plural } from '../../store/format.ts';
import { type ListedPreset, presetsOf } from '../../store/presets.ts';
import { basePreset } from '../../store/trainSettings.ts';
import { learningChanges } from '../../store/trainForm.ts';
import { Hint } from '../components/Info.tsx';
import { useStudio } from '../StudioContext.tsx';

/** What the lists below are made of, as long as it is the same. */
function usePresets(): ListedPreset[] {
  const { models, selectedModelId, ownPresets } = useStudio(
    useShallow((state) => ({
      models: state.models,
      selectedModelId: state.selectedModelId,
      ownPresets: state.ownPresets,
    })),
  );
  return presetsOf({ models, selectedModelId, ownPresets });
}

function PresetCards({ presets }: { readonly presets: readonly ListedPreset[] }) {
  const inUse = useStudio((state) => basePreset(state).id);
  const changed = useStudio((state) => learningChanges(state.trainForm, basePreset(state).form).length > 0);
  const chosen = useStudio((state) => state.presetChosen);
  return (
    <fieldset className="presets" aria-label="Preset">
      {presets.map(({ id, name, about }) => (
        <button
          key={id}
          type="button"
          className="preset"
          aria-pressed={id === inUse && !changed}
          data-base={id === inUse}
          onClick={() => chosen(id)}
        >
          <strong>{name.replace(/ for the demo model$/, '')}</strong>
          <span>{about}</span>
        </button>
      ))}
    </fieldset>
  );
}

function MenuItem({ preset }: { readonly preset: ListedPreset }) {
  const chosen = useStudio((state) => state.presetChosen);
  return (
    <DropdownMenu.Item className="menu-item" onSelect={() => chosen(preset.id)}>
      <span className="menu-text">
        <strong>{preset.name}</strong>
        <small>{preset.about}</small>
      </span>
    </DropdownMenu.Item>
  );
}

/** The presets that are not on the cards, and what one does with presets. */
function MorePresets({ presets, onSave }: { readonly presets: readonly ListedPreset[]; readonly onSave: () => void }) {
  const fileChosen = useStudio((state) => state.presetFileChosen);
  const input = useRef<HTMLInputElement>(null);
  const own = presets.filter(({ kind }) => kind === 'own');
  return (
    <>
      <DropdownMenu.Root modal={false}>
        <DropdownMenu.Trigger className="button button-small">
          More presets <ChevronDown size={13} aria-hidden="true" />
        </DropdownMenu.Trigger>
        <DropdownMenu.Portal>
          <DropdownMenu.Content className="menu menu-told" align="start" sideOffset={4} collisionPadding={12}>
            <DropdownMenu.Label className="menu-label">Other trainers</DropdownMenu.Label>
            {presets
              .filter(({ kind }) => kind === 'trainer')
              .map((preset) => (
                <MenuItem key={preset.id} preset={preset} />
              ))}
            {own.length > 0 && <DropdownMenu.Label className="menu-label">Your own</DropdownMenu.Label>}
            {own.map((preset) => (
              <MenuItem key={preset.id} preset={preset} />
            ))}
            <DropdownMenu.Separator className="menu-line" />
            <DropdownMenu.Item className="menu-item" onSelect={onSave}>
              <Download size={14} aria-hidden="true" />
              <span className="menu-text">Save these settings as a preset…</span>
            </DropdownMenu.Item>
            <DropdownMenu.Item className="menu-item" onSelect={() => input.current?.click()}>
              <Upload size={14} aria-hidden="true" />
              <span className="menu-text">Import a preset…</span>
            </DropdownMenu.Item>
          </DropdownMenu.Content>
        </DropdownMenu.Portal>
      </DropdownMenu.Root>
      <input
        ref={input}
        type="file"
        accept=".json,application/json"
        hidden
        aria-label="Preset file"
        data-testid="preset-input"
        onChange={(event) => {
          const file = event.target.files?.[0];
          event.target.value = '';
          if (file !== undefined) void fileChosen(file);
        }}
      />
    </>
  );
}

interface NameFormProps {
  readonly label: string;
  readonly action: string;
  readonly initial: string;
  readonly onName: (name: string | null) => void;
}

/** A name to type, where a preset is saved or renamed. */
function NameForm({ label, action, initial, onName }: NameFormProps) {
  const [name, setName] = useState(initial);
  return (
    <form
      className="input-row"
      onSubmit={(event) => {
        event.preventDefault();
        if (name.trim() !== '') onName(name.trim());
      }}
    >
      <input
        className="input"
        aria-label={label}
        placeholder={label}
        value={name}
        ref={focusAndSelect}
        onChange={(event) => setName(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === 'Escape') onName(null);
        }}
      />
      <button type="submit" className="button button-primary" disabled={name.trim() === ''}>
        {action}
      </button>
      <button type="button" className="button button-quiet" onClick={() => onName(null)}>
        Cancel
      </button>
    </form>
  );
}

/** For a field that appears because somebody asked to type into it. */
function focusAndSelect(input: HTMLInputElement | null): void {
  input?.focus();
  input?.select();
}

function OwnPresetButtons({
  id,
  name,
  onRename,
}: {
  readonly id: string;
  readonly name: string;
  readonly onRename: () => void;
}) {
  const exported = useStudio((state) => state.presetExported);
  const deleted = useStudio((state) => state.presetDeleted);
  return (
    <span className="preset-tools">
      <button type="button" className="icon-button" aria-label={`Rename preset ${name}`} onClick={onRename}>
        <Pencil size={13} aria-hidden="true" />
      </button>
      <button type="button" className="icon-button" aria-label={`Export preset ${name}`} onClick={() => exported(id)}>
        <Download size={13} aria-hidden="true" />
      </button>
      <button type="button" className="icon-button" aria-label={`Delete preset ${name}`} onClick={() => deleted(id)}>
        <Trash2 size={13} aria-hidden="true" />
      </button>
    </span>
  );
}

/** Which preset stands in the form, and how far it was changed. */
function InUse({ onRename }: { readonly onRename: () => void }) {
  const id = useStudio((state) => basePreset(state).id);
  const name = useStudio((state) => basePreset(state).name);
  const isOwn = useStudio((state) => basePreset(state).kind === 'own');
  const changed = useStudio((state) => learningChanges(state.trainForm, basePreset(state).form).length);
  const chosen = useStudio((state) => state.presetChosen);
  return (
    <div className="preset-line">
      <p className="field-hint" data-testid="preset-in-use">
        {name}
        {changed > 0 && `, ${changed} changed`}
      </p>
      {changed > 0 && (
        <Hint text={`Back to ${name} in ${plural(changed, 'setting')}`}>
          <button type="button" className="changed-mark" aria-label={`Back to ${name}`} onClick={() => chosen(id)}>
            <RotateCcw size={11} aria-hidden="true" />
          </button>
        </Hint>
      )}
      {isOwn && <OwnPresetButtons id={id} name={name} onRename={onRename} />}
    </div>
  );
}

/** What to start from: two cards, a menu with the rest, and in words which one stands in the form. */
export function Presets() {
  const presets = usePresets();
  const [naming, setNaming] = useState<'save' | 'rename' | null>(null);
  const base = useStudio((state) => basePreset(state));
  const saved = useStudio((state) => state.presetSaved);
  const renamed = useStudio((state) => state.presetRenamed);
  return (
    <div className="stack-tight">
      <PresetCards presets={presets.filter(({ kind }) => kind === 'studio')} />
      <div className="preset-row">
        <MorePresets presets={presets} onSave={() => setNaming('save')} />
        {naming === null && <InUse onRename={() => setNaming('rename')} />}
      </div>
      {naming !== null && (
        <NameForm
          label="Name of the preset"
          action={naming === 'save' ? 'Save' : 'Rename'}
          initial={naming === 'rename' || base.kind === 'own' ? base.name : ''}
          onName={(name) => {
            if (name !== null && naming === 'save') saved(name);
            if (name !== null && naming === 'rename') renamed(base.id, name);
            setNaming(null);
          }}
        />
      )}
    </div>
  );
}
