/** Settings out of a picture or a text, put back into form and shelf, with a list of what could not be. */
import { demoModel } from '../core/demoModel.ts';
import { LoratoryError } from '../core/errors.ts';
import { tagName } from '../core/promptEditing.ts';
import type { LibraryLora, LoraSource, PluggedLora, RestoredSettings } from '../worker/protocol.ts';
import { shortModelName } from './format.ts';
import { type GenerateForm, formValues } from './generateForm.ts';
import { reportError, type SliceContext, type StudioState } from './slice.ts';

export interface Restored {
  /** The file's name, or `the pasted text`. */
  readonly from: string;
  /** What could not be restored, in sentences. */
  readonly missing: readonly string[];
}

export interface RestoreSlice {
  /** What was restored last; null when the note was put away. */
  readonly restored: Restored | null;
  readonly settingsDropped: (file: File) => Promise<void>;
  /** Resolves to whether the text was a picture's parameters; if not, nothing has changed. */
  readonly parametersPasted: (text: string) => Promise<boolean>;
  readonly restoredDismissed: () => void;
}

/** A picture without settings in it. */
export class NoSettingsError extends LoratoryError {
  readonly code = 'no-settings';

  constructor(file: string) {
    super(
      `${file} holds no settings.`,
      'Take the file as the program wrote it: messengers and image editors drop the text. To draw from the picture itself, drop it on “From a picture”.',
      { file },
    );
  }
}

type SavedLora = RestoredSettings['settings']['loras'][number];

/** Whether a file is the one of which a picture says this hash: tools write more or fewer of its digits. */
function hasHash(lora: LibraryLora, hash: string): boolean {
  return lora.hash.startsWith(hash) || hash.startsWith(lora.hash);
}

/** The LoRA that a picture was drawn with: the file of its hash, else by name a run at the step that it names, a run, or a file; the newest. */
export function findLora(
  { runs, library }: Pick<StudioState, 'runs' | 'library'>,
  { name, hash }: Pick<SavedLora, 'name' | 'hash'>,
): LoraSource | null {
  const same = hash === undefined ? undefined : library.find((lora) => hasHash(lora, hash));
  if (same) return { kind: 'file', loraId: same.id };
  const wanted = tagName(name);
  const file = library.find((lora) => tagName(lora.name) === wanted);
  const exact = runs.find((run) => tagName(run.name) === wanted);
  if (exact) return { kind: 'run', runId: exact.id };
  if (file) return { kind: 'file', loraId: file.id };
  const [, base, step] = /^(.+)-(\d{6,})$/.exec(wanted) ?? [];
  const run = runs.find((one) => tagName(one.name) === base);
  return run && step !== undefined ? { kind: 'run', runId: run.id, globalStep: Number(step) } : null;
}

/** The model that parameters call by its short name. */
function findModel({ models }: Pick<StudioState, 'models'>, name: string): string | null {
  if (name === demoModel.name) return models.find(({ id }) => id === demoModel.id)?.id ?? null;
  return models.find(({ id }) => shortModelName(id) === name)?.id ?? null;
}

interface Plan {
  readonly form: Partial<GenerateForm>;
  readonly loras: readonly PluggedLora[];
  readonly modelId: string | null;
  readonly missing: readonly string[];
}

/** What of the settings can be put back here, and what cannot. */
export function planRestore(
  state: Pick<StudioState, 'runs' | 'library' | 'models' | 'selectedModelId'>,
  { settings, ignored }: RestoredSettings,
): Plan {
  const missing: string[] = [];
  const loras: PluggedLora[] = [];
  for (const saved of settings.loras) {
    const { name, unetWeight, textEncoderWeight, hash } = saved;
    const source = findLora(state, saved);
    const file = source?.kind === 'file' ? state.library.find(({ id }) => id === source.loraId) : undefined;
    if (file && hash !== undefined && !hasHash(file, hash))
      missing.push(`The LoRA “${name}” here is another file than the one that the picture was drawn with.`);
    if (source === null) missing.push(`The LoRA “${name}” (at ${unetWeight}) is not in this browser.`);
    else loras.push({ source, weight: unetWeight, ...(textEncoderWeight === unetWeight ? {} : { textEncoderWeight }) });
  }
  const modelId = settings.model === undefined ? null : findModel(state, settings.model);
  if (settings.model !== undefined && modelId === null)
    missing.push(`The model “${settings.model}” is not in this browser, so the picture will be another.`);
  if (settings.strength !== undefined && settings.hires === undefined)
    missing.push('It was drawn from a picture, which is not in the file.');
  for (const [name, value] of ignored) missing.push(`${name}: ${value} has no place here.`);
  const { strength } = settings;
  return {
    form: {
      ...formValues(settings),
      ...(strength === undefined ? {} : { strength: String(strength) }),
      seedRule: 'fixed',
      batchSize: '1',
      batchCount: '1',
    },
    loras,
    modelId,
    missing,
  };
}

export function createRestoreSlice(context: SliceContext): RestoreSlice {
  const { client, set, get } = context;
  const apply = (from: string, restored: RestoredSettings): void => {
    const { generateForm, shelf, selectedModelId } = get();
    const plan = planRestore(get(), restored);
    if (plan.modelId !== null) get().modelSelected(plan.modelId);
    get().generateFormChanged(plan.form);
    get().shelfReplaced(plan.loras);
    set({ restored: { from, missing: plan.missing } });
    get().toastShown({
      kind: 'success',
      title: 'Settings restored',
      detail: plan.missing.length === 0 ? `All of them, from ${from}.` : 'Not all of them: see the note at the prompt.',
      action: {
        label: 'Undo',
        run: () => {
          if (selectedModelId !== null) get().modelSelected(selectedModelId);
          get().generateFormChanged(generateForm);
          get().shelfReplaced(
            shelf.map(({ textEncoderWeight, key: _key, ...lora }) =>
              textEncoderWeight === null ? lora : { ...lora, textEncoderWeight },
            ),
          );
          set({ restored: null });
        },
      },
    });
  };
  return {
    restored: null,
    settingsDropped: async (file) => {
      try {
        const restored = await client.request('pictures.settings', { file });
        if (restored === null) throw new NoSettingsError(file.name);
        apply(file.name, restored);
      } catch (error) {
        reportError(context, 'No settings were restored', error);
      }
    },
    parametersPasted: async (text) => {
      const restored = await client.request('pictures.settings', { text }).catch(() => null);
      if (restored !== null) apply('the pasted text', restored);
      return restored !== null;
    },
    restoredDismissed: () => set({ restored: null }),
  };
}
