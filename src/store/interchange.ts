/** Settings and whole runs from and to other places: recipes, kohya's configs, jobs for other machines. */
import { type PlainError, toPlainError } from '../core/errors.ts';
import { isAborted } from '../worker/client.ts';
import type { ExportResult, ImageChange, KohyaImport, RecipeOffer, RunSource } from '../worker/protocol.ts';
import { plural } from './format.ts';
import { sizesInUse } from './modelDefaults.ts';
import { saveBlob } from './saveBlob.ts';
import { reportError, type SliceContext, type StudioState } from './slice.ts';
import { explainNumber, formOf, resolutionRule, type TrainForm } from './trainForm.ts';
import { trainRequestOf } from './trainRequest.ts';

/** What was read and waits for a yes. */
export type Import =
  | { readonly kind: 'kohya'; readonly result: KohyaImport }
  | { readonly kind: 'recipe'; readonly offer: RecipeOffer };

/** A stored run by its id, or the form as it stands. */
export type ShareSource = { readonly runId: string } | 'form';

export interface InterchangeSlice {
  readonly importOpen: boolean;
  readonly importing: Import | null;
  readonly importError: PlainError | null;
  /** The images of the recipe that is to be replayed, in its order; null: all images. */
  readonly replayIds: readonly string[] | null;
  /** Bytes of the zip that is being written. */
  readonly exportingJob: { readonly done: number; readonly total: number; readonly etaSeconds: number | null } | null;
  readonly importOpened: () => void;
  readonly importClosed: () => void;
  readonly importFilesChosen: (files: readonly File[]) => Promise<void>;
  readonly importTextGiven: (text: string) => Promise<void>;
  /** Looks for a recipe in the address, and takes it out of there. */
  readonly addressRead: () => Promise<void>;
  readonly importAccepted: () => Promise<void>;
  readonly allImagesChosen: () => void;
  /** Shows a stored run's recipe as one that was opened. */
  readonly runReplayed: (runId: string) => Promise<void>;
  readonly recipeCopied: (source: ShareSource, as: 'json' | 'link') => Promise<void>;
  readonly recipeSaved: (source: ShareSource) => Promise<void>;
  readonly kohyaExportPressed: (source: ShareSource) => Promise<void>;
  readonly jobExportPressed: (source: ShareSource) => Promise<void>;
  readonly jobExportCancelled: () => void;
}

/** The address of this page that carries a recipe. */
function linkTo(fragment: string): string {
  const { origin, pathname } = globalThis.location;
  return `${origin}${pathname}#${fragment}`;
}

export function createInterchangeSlice(context: SliceContext): InterchangeSlice {
  const { client, set, get } = context;
  let controller: AbortController | null = null;

  /** Null, and a word about it, where the form does not stand for a run. */
  const sourceOf = (source: ShareSource): RunSource | null => {
    if (source !== 'form') return source;
    const request = trainRequestOf(get());
    if (request === null) {
      get().toastShown({
        kind: 'error',
        title: 'The settings do not make a run yet',
        detail: 'Choose a model, add images, and correct what is marked in red.',
      });
      return null;
    }
    return { request };
  };

  const read = async (act: () => Promise<Import>): Promise<void> => {
    set({ importError: null, importing: null, importOpen: true });
    try {
      set({ importing: await act() });
    } catch (error) {
      set({ importError: toPlainError(error) });
    }
  };

  const readRecipe = async (text: string): Promise<Import> => ({
    kind: 'recipe',
    offer: await client.request('recipe.read', { text }),
  });

  const exportZip = async (type: 'kohya.export' | 'job.export', source: ShareSource): Promise<void> => {
    const asked = sourceOf(source);
    if (asked === null || get().exportingJob !== null) return;
    const startedAt = Date.now();
    controller = new AbortController();
    set({ exportingJob: { done: 0, total: 0, etaSeconds: null } });
    try {
      const { blob, fileName }: ExportResult = await client.request(type, asked, {
        signal: controller.signal,
        on: {
          'export.progress': ({ done, total }) => {
            const elapsed = (Date.now() - startedAt) / 1000;
            set({ exportingJob: { done, total, etaSeconds: done === 0 ? null : (elapsed * (total - done)) / done } });
          },
        },
      });
      saveBlob(blob, fileName);
      get().toastShown({
        kind: 'success',
        title: type === 'job.export' ? 'Job exported' : 'Config exported',
        detail: fileName,
      });
    } catch (error) {
      if (!isAborted(error)) reportError(context, 'The run could not be exported', error);
    } finally {
      set({ exportingJob: null });
    }
  };

  return {
    importOpen: false,
    importing: null,
    importError: null,
    replayIds: null,
    exportingJob: null,
    importOpened: () => set({ importOpen: true, importing: null, importError: null }),
    importClosed: () => set({ importOpen: false, importing: null, importError: null }),
    importFilesChosen: (files) =>
      read(async () => {
        const texts = await Promise.all(files.map(async (file) => ({ name: file.name, text: await file.text() })));
        const json = texts.find(({ name, text }) => /\.json$/i.test(name) || text.trimStart().startsWith('{'));
        if (json !== undefined) return readRecipe(json.text);
        return { kind: 'kohya', result: await client.request('kohya.read', { files: texts }) };
      }),
    importTextGiven: (text) =>
      read(async () => {
        const isRecipe = /(?:^|#)recipe=\S+\s*$/.test(text.trim()) || text.trimStart().startsWith('{');
        if (isRecipe) return readRecipe(text);
        return {
          kind: 'kohya',
          result: await client.request('kohya.read', { files: [{ name: 'pasted.toml', text }] }),
        };
      }),
    addressRead: async () => {
      const hash = globalThis.location?.hash ?? '';
      if (!hash.startsWith('#recipe=')) return;
      get().roomOpened('train');
      await read(() => readRecipe(hash));
    },
    importAccepted: async () => {
      const { importing } = get();
      if (importing?.kind === 'kohya') takeKohya(get(), importing.result);
      if (importing?.kind === 'recipe') await takeRecipe(context, importing.offer);
      set({ importOpen: false, importing: null, importError: null });
      get().roomOpened('train');
    },
    allImagesChosen: () => set({ replayIds: null }),
    runReplayed: (runId) => read(async () => readRecipe((await client.request('recipe.write', { runId })).json)),
    recipeCopied: async (source, as) => {
      const asked = sourceOf(source);
      if (asked === null) return;
      try {
        const { json, fragment } = await client.request('recipe.write', asked);
        await navigator.clipboard.writeText(as === 'json' ? json : linkTo(fragment));
        get().toastShown({
          kind: 'success',
          title: as === 'json' ? 'Recipe copied' : 'Link copied',
          detail: 'It holds settings, captions and names of images; no image and no model.',
        });
      } catch (error) {
        reportError(context, 'The recipe could not be copied', error);
      }
    },
    recipeSaved: async (source) => {
      const asked = sourceOf(source);
      if (asked === null) return;
      try {
        const { json, recipe } = await client.request('recipe.write', asked);
        const fileName = `${recipe.name.replaceAll(/[^\p{L}\p{N}._ -]+/gu, '_')}.recipe.json`;
        saveBlob(new Blob([json], { type: 'application/json' }), fileName);
      } catch (error) {
        reportError(context, 'The recipe could not be saved', error);
      }
    },
    kohyaExportPressed: (source) => exportZip('kohya.export', source),
    jobExportPressed: (source) => exportZip('job.export', source),
    jobExportCancelled: () => controller?.abort(),
  };
}

/** The form's texts, with a size that the model can do. */
function fitted(form: TrainForm, state: StudioState): TrainForm {
  const { imageSize } = sizesInUse(state);
  const fits = explainNumber(form.resolution, resolutionRule(imageSize)) === null;
  return fits ? form : { ...form, resolution: String(imageSize) };
}

function takeKohya(state: StudioState, { options, name, triggerWord }: KohyaImport): void {
  state.trainFormEdited(fitted(formOf(options), state));
  if (options.samplePrompts.length > 0) state.samplePromptsEdited(options.samplePrompts);
  if (name !== null) state.runNameEdited(name);
  if (triggerWord !== null) state.triggerWordEdited(triggerWord);
  state.toastShown({ kind: 'success', title: 'Settings taken over', detail: 'From a kohya config.' });
}

/** Settings, words, captions and crops as in the recipe; the run will be of its images, in its order. */
async function takeRecipe(context: SliceContext, { recipe, images, model }: RecipeOffer): Promise<void> {
  const state = context.get();
  if (model !== 'absent') state.modelSelected(recipe.model.id);
  state.trainFormEdited(fitted(formOf(recipe.options), context.get()));
  state.samplePromptsEdited(recipe.options.samplePrompts);
  state.runNameEdited(recipe.name);
  state.triggerWordEdited(recipe.triggerWord);
  const changes = images.flatMap(({ id }, i): ImageChange[] => {
    const wanted = recipe.images[i];
    if (id === null || wanted === undefined) return [];
    const { caption, repeats, crop, heldOut } = wanted;
    return [{ id, caption, repeats, crop, heldOut }];
  });
  try {
    if (changes.length > 0) await context.client.request('dataset.update', { changes });
    await context.get().datasetRefreshed();
  } catch (error) {
    reportError(context, 'The captions of the recipe could not be taken over', error);
  }
  const present = changes.map(({ id }) => id);
  context.set({ replayIds: present.length === 0 ? null : present });
  const missing = images.length - present.length;
  context.get().toastShown({
    kind: missing === 0 && model === 'present' ? 'success' : 'info',
    title: `Recipe of “${recipe.name}” taken over`,
    detail:
      missing === 0
        ? 'Start the training to replay it.'
        : `${plural(missing, 'image')} of it ${missing === 1 ? 'is' : 'are'} not here: add ${missing === 1 ? 'it' : 'them'} and open the recipe again.`,
  });
}
