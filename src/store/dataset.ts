/** The training images and their captions. */
import { LoratoryError, type PlainError, toPlainError } from '../core/errors.ts';
import type { DatasetImage } from '../worker/protocol.ts';
import { fileStem } from './caption.ts';
import { plural } from './format.ts';
import { recall, remember } from './persisted.ts';
import { reportError, type SliceContext } from './slice.ts';

/** A .txt file was dropped, but no image has its name. */
export class OrphanCaptionError extends LoratoryError {
  readonly code = 'orphan-caption';

  constructor(fileName: string) {
    super(
      `No image is called like ${fileName}.`,
      `Name the caption file like its image (${fileStem(fileName)}.png and ${fileStem(fileName)}.txt) and drop both.`,
      { fileName },
    );
  }
}

export interface RefusedFile {
  readonly fileName: string;
  readonly error: PlainError;
}

export interface DatasetSlice {
  readonly images: readonly DatasetImage[];
  readonly imagesLoaded: boolean;
  readonly refused: readonly RefusedFile[];
  readonly adding: { readonly done: number; readonly total: number; readonly startedAt: number } | null;
  readonly selectedImageIds: ReadonlySet<string>;
  readonly triggerWord: string;
  readonly datasetRefreshed: () => Promise<void>;
  /** Images and .txt captions, in any mixture; answers when all are in. */
  readonly imagesDropped: (files: readonly File[]) => Promise<void>;
  readonly addingCancelled: () => void;
  readonly captionEdited: (id: string, caption: string) => Promise<void>;
  readonly imageSelectionToggled: (id: string) => void;
  readonly imageSelectionSet: (ids: readonly string[]) => void;
  readonly imagesRemoved: (ids: readonly string[]) => Promise<void>;
  readonly refusedDismissed: () => void;
  readonly triggerWordEdited: (word: string) => void;
}

/** Splits dropped files into captions by stem and everything else (which the worker judges by its bytes). */
export async function sortDropped(
  files: readonly File[],
): Promise<{ images: File[]; captions: Record<string, string> }> {
  const images: File[] = [];
  const captions: Record<string, string> = {};
  for (const file of files) {
    if (/\.txt$/i.test(file.name)) captions[fileStem(file.name)] = (await file.text()).trim();
    else images.push(file);
  }
  return { images, captions };
}

export function createDatasetSlice(context: SliceContext): DatasetSlice {
  const { client, set, get } = context;
  // One batch after the other, so that captions find their images and the order is that of the drops.
  let queue: Promise<void> = Promise.resolve();
  let controller: AbortController | null = null;

  const add = async (files: readonly File[]): Promise<void> => {
    const { images, captions } = await sortDropped(files);
    const startedAt = Date.now();
    controller = new AbortController();
    if (images.length > 0) set({ adding: { done: 0, total: images.length, startedAt } });
    try {
      if (images.length > 0) {
        const { added, refused } = await client.request(
          'dataset.add',
          { files: images, captions },
          {
            signal: controller.signal,
            on: { 'dataset.progress': (progress) => set({ adding: { ...progress, startedAt } }) },
          },
        );
        const known = new Set(added.map(({ id }) => id));
        set((state) => ({
          images: [...state.images.filter(({ id }) => !known.has(id)), ...added],
          refused: [...state.refused, ...refused],
        }));
      }
      await caption(captions);
    } catch (error) {
      if (toPlainError(error).code !== 'aborted') reportError(context, 'The images could not be added', error);
      await get().datasetRefreshed();
    } finally {
      set({ adding: null });
    }
  };

  const caption = async (captions: Readonly<Record<string, string>>): Promise<void> => {
    const { images, refused } = get();
    const refusedStems = new Set(refused.map(({ fileName }) => fileStem(fileName)));
    for (const [stem, text] of Object.entries(captions)) {
      const named = images.filter((image) => fileStem(image.fileName) === stem);
      for (const image of named) if (image.caption !== text) await get().captionEdited(image.id, text);
      if (named.length === 0 && !refusedStems.has(stem)) {
        const fileName = `${stem}.txt`;
        const error = toPlainError(new OrphanCaptionError(fileName));
        set((state) => ({ refused: [...state.refused, { fileName, error }] }));
      }
    }
  };

  const restore = async (order: readonly string[], ids: readonly string[]): Promise<void> => {
    try {
      const restored = await client.request('dataset.restore', { ids });
      set((state) => {
        const present = new Set(state.images.map(({ id }) => id));
        const images = [...state.images, ...restored.filter(({ id }) => !present.has(id))];
        const position = new Map(order.map((id, index) => [id, index]));
        const rank = (image: DatasetImage): number => position.get(image.id) ?? order.length;
        return { images: images.toSorted((a, b) => rank(a) - rank(b)) };
      });
    } catch (error) {
      reportError(context, 'The images could not be brought back', error);
    }
  };

  return {
    images: [],
    imagesLoaded: false,
    refused: [],
    adding: null,
    selectedImageIds: new Set(),
    triggerWord: recall('triggerWord') ?? '',
    datasetRefreshed: async () => {
      try {
        set({ images: await client.request('dataset.list', {}), imagesLoaded: true });
      } catch (error) {
        set({ imagesLoaded: true });
        reportError(context, 'The stored images could not be read', error);
      }
    },
    imagesDropped: (files) => {
      if (files.length > 0) queue = queue.then(() => add(files));
      return queue;
    },
    addingCancelled: () => controller?.abort(),
    captionEdited: async (id, text) => {
      const replace = (value: string): void =>
        set((state) => ({
          images: state.images.map((image) => (image.id === id ? { ...image, caption: value } : image)),
        }));
      const before = get().images.find((image) => image.id === id)?.caption ?? '';
      replace(text);
      try {
        await client.request('dataset.caption', { id, caption: text });
      } catch (error) {
        replace(before);
        reportError(context, 'The caption could not be saved', error);
      }
    },
    imageSelectionToggled: (id) =>
      set(({ selectedImageIds }) => {
        const ids = new Set(selectedImageIds);
        if (!ids.delete(id)) ids.add(id);
        return { selectedImageIds: ids };
      }),
    imageSelectionSet: (ids) => set({ selectedImageIds: new Set(ids) }),
    imagesRemoved: async (ids) => {
      const order = get().images.map(({ id }) => id);
      const gone = new Set(ids);
      set((state) => ({
        images: state.images.filter(({ id }) => !gone.has(id)),
        selectedImageIds: new Set([...state.selectedImageIds].filter((id) => !gone.has(id))),
      }));
      try {
        await client.request('dataset.remove', { ids });
        get().toastShown({
          kind: 'info',
          title: `${plural(ids.length, 'image')} removed`,
          action: { label: 'Undo', run: () => void restore(order, ids) },
        });
      } catch (error) {
        reportError(context, 'The images could not be removed', error);
        await get().datasetRefreshed();
      }
    },
    refusedDismissed: () => set({ refused: [] }),
    triggerWordEdited: (triggerWord) => {
      remember('triggerWord', triggerWord);
      set({ triggerWord });
    },
  };
}
