/** The training images and their captions. */
import { type PlainError, toPlainError } from '../core/errors.ts';
import type { DatasetImage, GivenFile, ImageChange } from '../worker/protocol.ts';
import { plural } from './format.ts';
import { inverseOf, type TagEdit, tagChanges, tagEditTitle, withChanges } from './imageEdits.ts';
import { recall, remember } from './persisted.ts';
import { reportError, type SliceContext } from './slice.ts';

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
  /** What transparent parts of images are filled with, `#rrggbb`. */
  readonly background: string;
  /** Edits that can be undone, the latest last. */
  readonly imageUndos: readonly ImageUndo[];
  readonly datasetRefreshed: () => Promise<void>;
  /** Images, captions, masks, zips, in any mixture; answers when all are in. */
  readonly imagesDropped: (files: readonly File[]) => Promise<void>;
  readonly addingCancelled: () => void;
  readonly captionEdited: (id: string, caption: string) => Promise<void>;
  /** Changes images at once, here and in the storage. With a title it can be undone. */
  readonly imagesChanged: (changes: readonly ImageChange[], title?: string) => Promise<void>;
  /** Edits the captions of these images. */
  readonly tagsEdited: (ids: readonly string[], edit: TagEdit) => Promise<void>;
  readonly imageUndoPressed: () => Promise<void>;
  /** A picture to look at closely; null, and a message, if it cannot be read. */
  readonly imagePreviewNeeded: (id: string) => Promise<Blob | null>;
  readonly backgroundChosen: (colour: string) => void;
  readonly imageSelectionToggled: (id: string) => void;
  readonly imageSelectionSet: (ids: readonly string[]) => void;
  readonly imagesRemoved: (ids: readonly string[]) => Promise<void>;
  readonly refusedDismissed: () => void;
  readonly triggerWordEdited: (word: string) => void;
}

export interface ImageUndo {
  /** What was done, in words. */
  readonly title: string;
  readonly changes: readonly ImageChange[];
}

/** Edits of images that are remembered for undoing. */
const maxUndos = 50;

/** A dropped or chosen file with its folders, as far as the browser tells them. */
function given(file: File & { readonly path?: string }): GivenFile {
  const path = file.path ?? file.webkitRelativePath;
  return { path: path === '' || path === undefined ? file.name : path.replace(/^\.?\/+/, ''), file };
}

export function createDatasetSlice(context: SliceContext): DatasetSlice {
  const { client, set, get } = context;
  // One batch after the other, so that captions find their images and the order is that of the drops.
  let queue: Promise<void> = Promise.resolve();
  let controller: AbortController | null = null;

  const add = async (files: readonly File[]): Promise<void> => {
    const startedAt = Date.now();
    controller = new AbortController();
    set({ adding: { done: 0, total: files.length, startedAt } });
    try {
      const { added, changed, refused } = await client.request(
        'dataset.add',
        { files: files.map(given) },
        {
          signal: controller.signal,
          on: { 'dataset.progress': (progress) => set({ adding: { ...progress, startedAt } }) },
        },
      );
      const news = new Map([...added, ...changed].map((image) => [image.id, image]));
      set((state) => ({
        images: [
          ...state.images.map((image) => news.get(image.id) ?? image),
          ...added.filter(({ id }) => !state.images.some((image) => image.id === id)),
        ],
        refused: [...state.refused, ...refused],
      }));
      // Masks that were given are meant to count.
      if ([...added, ...changed].some(({ mask }) => mask !== null)) get().trainFieldEdited('maskedLoss', 'true');
    } catch (error) {
      if (toPlainError(error).code !== 'aborted') reportError(context, 'The images could not be added', error);
      await get().datasetRefreshed();
    } finally {
      set({ adding: null });
    }
  };

  /** Shows the changes at once and takes them back if they cannot be stored. */
  const change = async (changes: readonly ImageChange[], failure: string): Promise<boolean> => {
    const back = inverseOf(get().images, changes);
    set((state) => ({ images: withChanges(state.images, changes) }));
    try {
      await client.request('dataset.update', { changes });
      return true;
    } catch (error) {
      set((state) => ({ images: withChanges(state.images, back) }));
      reportError(context, failure, error);
      return false;
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

  /** A change that can be undone; null if it could not be made. */
  const edit = async (changes: readonly ImageChange[], title: string): Promise<ImageUndo | null> => {
    const undo = { title, changes: inverseOf(get().images, changes) };
    if (!(await change(changes, 'The change could not be saved'))) return null;
    set((state) => ({ imageUndos: [...state.imageUndos, undo].slice(-maxUndos) }));
    return undo;
  };

  const undoEdit = async (undo: ImageUndo): Promise<void> => {
    // Pressed twice, in the toast and in the toolbar, it undoes once.
    if (!get().imageUndos.includes(undo)) return;
    set((state) => ({ imageUndos: state.imageUndos.filter((other) => other !== undo) }));
    const present = new Set(get().images.map(({ id }) => id));
    await change(
      undo.changes.filter(({ id }) => present.has(id)),
      'The change could not be undone',
    );
  };

  return {
    images: [],
    imagesLoaded: false,
    refused: [],
    adding: null,
    selectedImageIds: new Set(),
    triggerWord: recall('triggerWord') ?? '',
    background: recall('background') ?? '#ffffff',
    imageUndos: [],
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
    captionEdited: async (id, caption) => {
      await change([{ id, caption }], 'The caption could not be saved');
    },
    imagesChanged: async (changes, title) => {
      if (title === undefined) await change(changes, 'The change could not be saved');
      else await edit(changes, title);
    },
    tagsEdited: async (ids, tagEdit) => {
      const wanted = new Set(ids);
      const chosen = get().images.filter(({ id }) => wanted.has(id));
      const changes = tagChanges(chosen, tagEdit);
      const title = tagEditTitle(tagEdit, changes.length);
      if (changes.length === 0) return get().toastShown({ kind: 'info', title });
      const undo = await edit(changes, title);
      if (undo === null) return;
      get().toastShown({ kind: 'info', title, action: { label: 'Undo', run: () => void undoEdit(undo) } });
    },
    imageUndoPressed: async () => {
      const undo = get().imageUndos.at(-1);
      if (undo !== undefined) await undoEdit(undo);
    },
    imagePreviewNeeded: async (id) => {
      try {
        return await client.request('dataset.preview', { id });
      } catch (error) {
        reportError(context, 'The image could not be opened', error);
        return null;
      }
    },
    backgroundChosen: (background) => {
      remember('background', background);
      set({ background });
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
