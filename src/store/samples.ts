/** The sample sets that come with the page: a first training set, one click away. */
import { demoModel } from '../core/demoModel.ts';
import { LoratoryError, type PlainError, toPlainError } from '../core/errors.ts';
import type { PresetKind } from '../core/presets.ts';
import type { SamplePrompt } from '../worker/protocol.ts';
import { fileStem } from './caption.ts';
import { plural } from './format.ts';
import { reportError, type SliceContext } from './slice.ts';

export interface SampleSet {
  readonly id: string;
  readonly title: string;
  readonly description: string;
  readonly preset: PresetKind;
  /** May be empty. */
  readonly trigger: string;
  readonly samplePrompts: readonly string[];
  /** `file`: a path below samples/. */
  readonly images: readonly { readonly file: string; readonly caption: string }[];
}

/** The server that sent this page does not send a sample. */
export class SamplesUnavailableError extends LoratoryError {
  readonly code = 'samples-unavailable';

  constructor(path: string, reason: string, options?: ErrorOptions) {
    super(
      `The sample ${path} could not be fetched: ${reason}.`,
      'Check the connection and try again. Your own images work without the samples.',
      { path, reason },
      options,
    );
  }
}

export interface SamplesSlice {
  /** Null until asked for. */
  readonly sampleSets: readonly SampleSet[] | null;
  readonly samplesError: PlainError | null;
  /** The set that is being fetched. */
  readonly sampleSetLoading: string | null;
  readonly samplesNeeded: () => Promise<void>;
  /** Adds a set to the images, or puts those aside first. Into an empty set it brings its trigger, prompts, name and preset too. */
  readonly sampleSetChosen: (id: string, how: 'add' | 'replace') => Promise<void>;
  /** The demo model, with the first sample set unless there are images, in front of the Start button. */
  readonly demoTried: () => Promise<void>;
}

/** The address of a sample, wherever the page lies. */
export function sampleUrl(path: string): string {
  const page = globalThis.document?.baseURI ?? 'http://localhost/';
  return new URL(`samples/${path}`, new URL(import.meta.env.BASE_URL, page)).href;
}

async function fetchSample(path: string): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(sampleUrl(path));
  } catch (cause) {
    throw new SamplesUnavailableError(path, 'the server could not be reached', { cause });
  }
  if (!response.ok) throw new SamplesUnavailableError(path, `the server answered ${response.status}`);
  return response;
}

async function fetchSets(): Promise<readonly SampleSet[]> {
  const path = 'index.json';
  const response = await fetchSample(path);
  try {
    return ((await response.json()) as { sets: readonly SampleSet[] }).sets;
  } catch (cause) {
    // Servers of single-page apps answer what they do not have with their start page.
    throw new SamplesUnavailableError(path, 'what came is no list of sets', { cause });
  }
}

/** A set as the files that a person would drop: pictures, and captions in .txt files of the same names. */
async function fetchFiles({ images }: SampleSet): Promise<File[]> {
  const pairs = images.map(async ({ file, caption }) => {
    // The set stays in the name, as two sets may have a cat each, and captions find their images by name.
    const name = file.replaceAll('/', '-');
    const blob = await (await fetchSample(file)).blob();
    return [new File([blob], name, { type: blob.type }), new File([caption], `${fileStem(name)}.txt`)];
  });
  return (await Promise.all(pairs)).flat();
}

const firstSeed = 42;

export function createSamplesSlice(context: SliceContext): SamplesSlice {
  const { set, get } = context;
  let asked: Promise<void> | null = null;

  /** Trigger word, prompts, name and preset of a set; returns what brings back those that were there. */
  const takeOver = ({ title, trigger, samplePrompts, preset }: SampleSet): (() => void) => {
    const { triggerWord, editedPrompts, editedRunName } = get();
    const prompts: SamplePrompt[] = samplePrompts.map((prompt, i) => ({ prompt, seed: firstSeed + i }));
    get().triggerWordEdited(trigger);
    get().samplePromptsEdited(prompts);
    get().presetChosen(preset);
    const isSuggested = editedRunName === null || get().sampleSets?.some((each) => each.title === editedRunName);
    if (isSuggested === true) get().runNameEdited(title);
    return () => {
      get().triggerWordEdited(triggerWord);
      get().samplePromptsEdited(editedPrompts);
      get().runNameEdited(editedRunName);
    };
  };

  return {
    sampleSets: null,
    samplesError: null,
    sampleSetLoading: null,
    samplesNeeded: () => {
      asked ??= fetchSets().then(
        (sampleSets) => set({ sampleSets, samplesError: null }),
        (error: unknown) => {
          asked = null;
          set({ samplesError: toPlainError(error) });
        },
      );
      return asked;
    },
    sampleSetChosen: async (id, how) => {
      const chosen = get().sampleSets?.find((each) => each.id === id);
      if (chosen === undefined || get().sampleSetLoading !== null) return;
      set({ sampleSetLoading: id });
      try {
        const files = await fetchFiles(chosen);
        if (how === 'replace') await get().imagesRemoved(get().images.map((image) => image.id));
        const before = new Set(get().images.map((image) => image.id));
        const bringBack = before.size === 0 ? takeOver(chosen) : () => undefined;
        await get().imagesDropped(files);
        const added = get()
          .images.map((image) => image.id)
          .filter((image) => !before.has(image));
        if (added.length === 0) return bringBack();
        get().toastShown({
          kind: 'success',
          title: `“${chosen.title}” added`,
          detail: plural(added.length, 'image with its caption', 'images with their captions'),
          action: {
            label: 'Undo',
            run: () => {
              bringBack();
              void get().imagesRemoved(added);
            },
          },
        });
      } catch (error) {
        reportError(context, `“${chosen.title}” could not be loaded`, error);
      } finally {
        set({ sampleSetLoading: null });
      }
    },
    demoTried: async () => {
      get().modelSelected(demoModel.id);
      get().roomOpened('train');
      if (get().images.length > 0) return;
      await get().samplesNeeded();
      const first = get().sampleSets?.[0];
      if (first !== undefined) await get().sampleSetChosen(first.id, 'add');
      else if (get().samplesError !== null)
        get().toastShown({ kind: 'error', title: 'No samples', detail: get().samplesError?.message ?? '' });
    },
  };
}
