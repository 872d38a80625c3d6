/** What a training can be started from: the studio's presets, those of other trainers, and the person's own. */
import { demoModel } from '../core/demoModel.ts';
import { LoratoryError } from '../core/errors.ts';
import { type PresetKind, presetNameFor, presets } from '../core/presets.ts';
import type { TrainOptions } from '../core/trainOptions.ts';
import { completeTrainOptions } from '../core/trainOptionsJson.ts';
import { sizesInUse } from './modelDefaults.ts';
import { recall, remember } from './persisted.ts';
import { saveBlob } from './saveBlob.ts';
import { reportError, type SliceContext, type StudioState } from './slice.ts';
import { explainNumber, formOf, presetPart, readableOptions, resolutionRule, type TrainForm } from './trainForm.ts';

export interface OwnPreset {
  readonly id: string;
  readonly name: string;
  readonly options: TrainOptions;
}

export interface ListedPreset {
  /** `style` and `character` are each model's own of that kind. */
  readonly id: string;
  readonly name: string;
  /** A sentence or two. */
  readonly about: string;
  readonly kind: 'studio' | 'trainer' | 'own';
  readonly form: TrainForm;
}

export interface PresetsSlice {
  readonly ownPresets: readonly OwnPreset[];
  /** What the form was started from. */
  readonly presetId: string;
  readonly presetChosen: (id: string) => void;
  /** Keeps the form under a name; a preset of the person's own with that name is replaced. */
  readonly presetSaved: (name: string) => void;
  readonly presetRenamed: (id: string, name: string) => void;
  readonly presetDeleted: (id: string) => void;
  readonly presetExported: (id: string) => void;
  readonly presetFileChosen: (file: File) => Promise<void>;
}

/** A file that is no preset. */
export class PresetFileError extends LoratoryError {
  readonly code = 'preset-file';

  constructor(fileName: string, reason: string) {
    super(`${fileName} is no preset: ${reason}.`, 'Choose a .json file that was saved with “Export preset”.', {
      fileName,
      reason,
    });
  }
}

const fileFormat = 'loratory-preset';
const fileVersion = 1;

const about: Readonly<Record<PresetKind, string>> = {
  style: 'A look: brushwork, palette, mood.',
  character: 'One person, pet or object. Shorter.',
};

const trainers = [
  {
    id: 'kohya',
    name: 'kohya’s defaults',
    about: 'train_network.py as it is without settings: whole transformers and the text encoder, at a very low rate.',
  },
  {
    id: 'diffusers',
    name: 'diffusers’ defaults',
    about:
      'train_text_to_image_lora.py as it is without settings: batches of 16 for 100 epochs, which takes much memory.',
  },
  {
    id: 'oneTrainer',
    name: 'OneTrainer’s SD 1.5 LoRA',
    about: 'Its preset of that name: rank 16 on all layers and the text encoder, 100 epochs.',
  },
] as const;

type PresetState = Pick<StudioState, 'ownPresets' | 'selectedModelId' | 'models'>;

/** All presets, the studio's first. A preset that is not the person's own leaves the size to the model. */
export function presetsOf(state: PresetState): ListedPreset[] {
  const { selectedModelId } = state;
  const resolution = String(sizesInUse(state).imageSize);
  const sized = (options: TrainOptions): TrainForm => ({ ...formOf(options), resolution });
  const forDemo = selectedModelId === demoModel.id ? ' for the demo model' : '';
  const studio = (['style', 'character'] as const).map((kind): ListedPreset => {
    const options = presets[presetNameFor(selectedModelId, kind)];
    return {
      id: kind,
      name: `${kind === 'style' ? 'Style' : 'Character'}${forDemo}`,
      about: `${about[kind]} ${options.maxTrainSteps} steps.`,
      kind: 'studio',
      form: sized(options),
    };
  });
  return [
    ...studio,
    ...trainers.map((trainer): ListedPreset => ({ ...trainer, kind: 'trainer', form: sized(presets[trainer.id]) })),
    ...state.ownPresets.map(({ id, name, options }): ListedPreset => {
      return { id, name, about: 'One of your own.', kind: 'own', form: formOf(options) };
    }),
  ];
}

/** What the form was started from; Style where that is gone. */
export function presetInUse(state: PresetState & Pick<StudioState, 'presetId'>): ListedPreset {
  const all = presetsOf(state);
  return all.find(({ id }) => id === state.presetId) ?? (all[0] as ListedPreset);
}

function recallOwn(): OwnPreset[] {
  try {
    const stored: unknown = JSON.parse(recall('presets') ?? '[]');
    return Array.isArray(stored) ? stored.flatMap((entry: unknown) => ownPresetOf(entry) ?? []) : [];
  } catch {
    return [];
  }
}

function ownPresetOf(json: unknown): OwnPreset | null {
  if (typeof json !== 'object' || json === null) return null;
  const { id, name, options } = json as Partial<Record<keyof OwnPreset, unknown>>;
  if (typeof name !== 'string' || name.trim() === '' || typeof options !== 'object' || options === null) return null;
  return {
    id: typeof id === 'string' ? id : crypto.randomUUID(),
    name: name.trim(),
    options: completeTrainOptions(options),
  };
}

function readPresetFile(fileName: string, text: string): OwnPreset {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new PresetFileError(fileName, 'it is not valid JSON');
  }
  const { format, version } = (json ?? {}) as { format?: unknown; version?: unknown };
  if (format !== fileFormat) throw new PresetFileError(fileName, `its format is not ${fileFormat}`);
  if (version !== fileVersion) throw new PresetFileError(fileName, `its version is ${String(version)}, and 1 is known`);
  const preset = ownPresetOf(json);
  if (preset === null) throw new PresetFileError(fileName, 'it has no name or no options');
  return { ...preset, id: crypto.randomUUID() };
}

/** The name, with a number if another preset has it already. */
function freeName(name: string, taken: ReadonlySet<string>): string {
  let free = name;
  for (let n = 2; taken.has(free); n++) free = `${name} ${n}`;
  return free;
}

export function createPresetsSlice(context: SliceContext): PresetsSlice {
  const { set, get } = context;

  const keep = (ownPresets: readonly OwnPreset[]): void => {
    remember('presets', ownPresets.length === 0 ? null : JSON.stringify(ownPresets));
    set({ ownPresets });
  };
  const takeAsBase = (presetId: string): void => {
    remember('preset', presetId);
    set({ presetId });
  };

  return {
    ownPresets: recallOwn(),
    presetId: recall('preset') ?? 'style',
    presetChosen: (id) => {
      const state = get();
      const preset = presetsOf(state).find((each) => each.id === id);
      if (preset === undefined) return;
      const { resolution, ...rest } = preset.form;
      const fits = explainNumber(resolution, resolutionRule(sizesInUse(state).imageSize)) === null;
      if (preset.kind === 'own') state.trainFormEdited({ ...rest, ...(fits ? { resolution } : {}) });
      else state.trainFormEdited(presetPart(preset.form));
      takeAsBase(id);
    },
    presetSaved: (name) => {
      const state = get();
      const options = { ...readableOptions(state.trainForm, sizesInUse(state).imageSize), samplePrompts: [] };
      const former = state.ownPresets.find((preset) => preset.name === name.trim());
      const preset = { id: former?.id ?? crypto.randomUUID(), name: name.trim(), options };
      if (preset.name === '') return;
      keep([...state.ownPresets.filter(({ id }) => id !== preset.id), preset]);
      takeAsBase(preset.id);
      state.toastShown({
        kind: 'success',
        title: `Preset “${preset.name}” ${former === undefined ? 'saved' : 'replaced'}`,
      });
    },
    presetRenamed: (id, name) => {
      const taken = new Set(
        get()
          .ownPresets.filter((preset) => preset.id !== id)
          .map((preset) => preset.name),
      );
      if (name.trim() === '') return;
      keep(get().ownPresets.map((each) => (each.id === id ? { ...each, name: freeName(name.trim(), taken) } : each)));
    },
    presetDeleted: (id) => {
      const before = get().ownPresets;
      const preset = before.find((each) => each.id === id);
      if (preset === undefined) return;
      const wasInUse = get().presetId === id;
      keep(before.filter((each) => each.id !== id));
      if (wasInUse) takeAsBase('style');
      get().toastShown({
        kind: 'info',
        title: `Preset “${preset.name}” deleted`,
        action: {
          label: 'Undo',
          run: () => {
            const others = get().ownPresets;
            keep(others.toSpliced(Math.min(before.indexOf(preset), others.length), 0, preset));
            if (wasInUse) takeAsBase(id);
          },
        },
      });
    },
    presetExported: (id) => {
      const preset = get().ownPresets.find((each) => each.id === id);
      if (preset === undefined) return;
      const { name, options } = preset;
      const text = `${JSON.stringify({ format: fileFormat, version: fileVersion, name, options }, null, 2)}\n`;
      const fileName = `${name.replaceAll(/[^\p{L}\p{N}._ -]+/gu, '_')}.preset.json`;
      saveBlob(new Blob([text], { type: 'application/json' }), fileName);
    },
    presetFileChosen: async (file) => {
      try {
        const preset = readPresetFile(file.name, await file.text());
        const taken = new Set(get().ownPresets.map(({ name }) => name));
        keep([...get().ownPresets, { ...preset, name: freeName(preset.name, taken) }]);
        get().presetChosen(preset.id);
      } catch (error) {
        reportError(context, 'The preset could not be imported', error);
      }
    },
  };
}
