/** The gallery: pictures that were drawn, kept in the browser with their settings; which is shown, which are selected, what is compared. */
import type {
  GalleryPicture,
  GeneratedPicture,
  GenerateRequest,
  InitImage,
  NewGalleryPicture,
} from '../worker/protocol.ts';
import { plural } from './format.ts';
import { shortcutFacts } from './fullQuality.ts';
import { formValues, schedulerLabels } from './generateForm.ts';
import { saveBlob } from './saveBlob.ts';
import { reportError, type SliceContext } from './slice.ts';

/** What the Try room's stage shows. */
export type TryView = 'picture' | 'gallery' | 'plot';

export interface GallerySlice {
  /** Oldest first. */
  readonly pictures: readonly GalleryPicture[];
  readonly shownPictureId: string | null;
  /** What the shown picture is compared with; null while it is shown alone. */
  readonly comparedPictureId: string | null;
  /** What pictures began with, by their ids: of this visit, as it is not stored. */
  readonly initImages: ReadonlyMap<string, InitImage>;
  readonly selectedPictureIds: ReadonlySet<string>;
  readonly tryView: TryView;
  readonly tryViewOpened: (view: TryView) => void;
  readonly picturesRefreshed: () => Promise<void>;
  /** A picture is finished: it is kept, and shown. */
  readonly pictureDrawn: (
    picture: GeneratedPicture,
    request: GenerateRequest,
    loraNames: readonly string[],
    milliseconds: number,
  ) => Promise<GalleryPicture>;
  /** Puts a picture into the gallery; where it cannot be stored, it is there until the page is closed. */
  readonly pictureKept: (picture: NewGalleryPicture) => Promise<GalleryPicture>;
  readonly pictureShown: (id: string) => void;
  /** Shows a neighbour: -1 the one before, 1 the one after. */
  readonly pictureStepped: (delta: number) => void;
  readonly comparisonChosen: (id: string | null) => void;
  readonly pictureSelectionSet: (ids: readonly string[]) => void;
  readonly pictureSelectionAdded: (ids: readonly string[]) => void;
  readonly pictureSelectionToggled: (id: string) => void;
  /** Saves a picture as a file, with its settings in it. */
  readonly pictureSaved: (picture: GalleryPicture, format: 'png' | 'webp') => Promise<void>;
  readonly picturesRemoved: (ids: readonly string[]) => Promise<void>;
  /** Puts the picture's settings back into form and shelf. */
  readonly pictureSettingsReused: (id: string) => void;
}

const bySavedAt = (a: GalleryPicture, b: GalleryPicture): number => a.savedAt - b.savedAt || (a.id < b.id ? -1 : 1);

/** What a picture was drawn with, as a line: `Pixel art at 0.80 + Neon at 0.50`, or `plain model`. */
function describeLoras({ request, loraNames }: Pick<GalleryPicture, 'request' | 'loraNames'>): string {
  const used = request.loras
    .map(({ weight, enabled = true }, index) => ({ weight, enabled, name: loraNames[index] ?? 'LoRA' }))
    .filter(({ enabled }) => enabled);
  if (used.length === 0) return 'plain model';
  return used.map(({ name, weight }) => `${name} at ${weight.toFixed(2)}`).join(' + ');
}

/** What tells a picture from others, as a line. */
export function describePicture(picture: Pick<GalleryPicture, 'request' | 'loraNames' | 'plot'>): string {
  if (picture.plot) return `X/Y/Z plot: ${picture.plot.join(' × ')}`;
  return `${describeLoras(picture)}, seed ${picture.request.seed}`;
}

type Described = Pick<GalleryPicture, 'request' | 'loraNames' | 'plot' | 'isPartial'>;

/** What a picture was drawn with, fact by fact. */
export function drawnWith(picture: Described): string[] {
  return [...mainFacts(picture), ...shortcutFacts(picture.request)];
}

/** As many for every picture. */
function mainFacts(picture: Described): string[] {
  const { request, isPartial } = picture;
  const karras = request.schedulerOptions?.useKarrasSigmas === true ? ' Karras' : '';
  return [
    describeLoras(picture),
    `seed ${request.seed}`,
    `${request.numInferenceSteps} steps${isPartial ? ' (stopped before its end)' : ''}`,
    `${schedulerLabels[request.scheduler]}${karras}`,
    `guidance ${request.guidanceScale}`,
  ];
}

/** What tells a picture from the one beside it, as a line; as {@link describePicture} where these facts are all the same. */
export function describeBeside(picture: Described, other: Described): string {
  if (picture.plot || other.plot) return describePicture(picture);
  const factsOf = (each: Described): string[] => [
    ...mainFacts(each),
    shortcutFacts(each.request).join(', ') || 'in full',
    each.request.modelId,
    each.request.prompt === '' ? 'no prompt' : `“${each.request.prompt}”`,
  ];
  const others = factsOf(other);
  const own = factsOf(picture).filter((fact, index) => fact !== others[index]);
  return own.length === 0 ? describePicture(picture) : own.slice(0, 3).join(', ');
}

/** A name for a picture's file: its first words, and its seed or that it is a plot. */
export function pictureFileName(
  { request, plot }: Pick<GalleryPicture, 'request' | 'plot'>,
  extension: 'png' | 'webp',
): string {
  const words = request.prompt.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? ['picture'];
  return `${words.slice(0, 6).join('-')}-${plot ? 'plot' : request.seed}.${extension}`;
}

export function createGallerySlice(context: SliceContext): GallerySlice {
  const { client, set, get } = context;
  return {
    pictures: [],
    shownPictureId: null,
    comparedPictureId: null,
    initImages: new Map(),
    selectedPictureIds: new Set(),
    tryView: 'picture',
    tryViewOpened: (tryView) => set({ tryView }),
    picturesRefreshed: async () => {
      try {
        const pictures = await client.request('pictures.list', {});
        set({ pictures, shownPictureId: get().shownPictureId ?? pictures.at(-1)?.id ?? null });
      } catch (error) {
        reportError(context, 'The gallery could not be read', error);
      }
    },
    pictureDrawn: async ({ png, width, height, parameters, isPartial, seed }, request, loraNames, milliseconds) => {
      const { initImage, jobId: _jobId, ...rest } = request;
      const kept = await get().pictureKept({
        png,
        width,
        height,
        parameters,
        isPartial,
        milliseconds,
        savedAt: Date.now(),
        loraNames,
        request: { ...rest, seed, batchSize: 1, batchCount: 1 },
        ...(initImage ? { fromPicture: true } : {}),
      });
      set(({ comparedPictureId, shownPictureId, initImages }) => ({
        ...(initImage ? { initImages: new Map([...initImages, [kept.id, initImage]]) } : {}),
        shownPictureId: kept.id,
        comparedPictureId: comparedPictureId === shownPictureId ? null : comparedPictureId,
      }));
      return kept;
    },
    pictureKept: async (picture) => {
      let kept: GalleryPicture;
      try {
        kept = await client.request('pictures.add', picture);
      } catch (error) {
        // It is there as long as the page is: nothing that was drawn is lost at once.
        kept = { ...picture, id: crypto.randomUUID() };
        reportError(context, 'The picture is shown but could not be kept: save it', error);
      }
      set(({ pictures }) => ({ pictures: [...pictures, kept].toSorted(bySavedAt) }));
      return kept;
    },
    pictureShown: (id) =>
      set(({ comparedPictureId }) => ({
        shownPictureId: id,
        comparedPictureId: comparedPictureId === id ? null : comparedPictureId,
      })),
    pictureStepped: (delta) => {
      const { pictures, shownPictureId } = get();
      const next = pictures[pictures.findIndex(({ id }) => id === shownPictureId) + delta];
      if (next !== undefined) get().pictureShown(next.id);
    },
    comparisonChosen: (id) => set({ comparedPictureId: id }),
    pictureSelectionSet: (ids) => set({ selectedPictureIds: new Set(ids) }),
    pictureSelectionAdded: (ids) =>
      set(({ selectedPictureIds }) => ({ selectedPictureIds: new Set([...selectedPictureIds, ...ids]) })),
    pictureSelectionToggled: (id) =>
      set(({ selectedPictureIds }) => {
        const next = new Set(selectedPictureIds);
        if (!next.delete(id)) next.add(id);
        return { selectedPictureIds: next };
      }),
    pictureSaved: async (picture, format) => {
      const { png, parameters } = picture;
      try {
        const file = format === 'png' ? png : await client.request('pictures.webp', { png, parameters });
        saveBlob(file, pictureFileName(picture, format));
      } catch (error) {
        reportError(context, 'The picture could not be saved', error);
      }
    },
    picturesRemoved: async (ids) => {
      const gone = new Set(ids);
      const { pictures, shownPictureId, comparedPictureId } = get();
      const removed = pictures.filter(({ id }) => gone.has(id));
      const rest = pictures.filter(({ id }) => !gone.has(id));
      const at = pictures.findIndex(({ id }) => id === shownPictureId);
      const neighbour = pictures.slice(at).find(({ id }) => !gone.has(id)) ?? rest.at(-1);
      set({
        pictures: rest,
        selectedPictureIds: new Set(),
        shownPictureId: shownPictureId !== null && gone.has(shownPictureId) ? (neighbour?.id ?? null) : shownPictureId,
        comparedPictureId: comparedPictureId !== null && gone.has(comparedPictureId) ? null : comparedPictureId,
      });
      const bringBack = (back: readonly GalleryPicture[]): void =>
        set((state) => ({ pictures: [...state.pictures, ...back].toSorted(bySavedAt), shownPictureId }));
      try {
        await client.request('pictures.remove', { ids });
        get().toastShown({
          kind: 'info',
          title: `${plural(removed.length, 'picture')} deleted`,
          action: {
            label: 'Undo',
            run: () => {
              client.request('pictures.restore', { ids }).then(bringBack, (error: unknown) => {
                reportError(context, 'The pictures could not be brought back', error);
              });
            },
          },
        });
      } catch (error) {
        bringBack(removed);
        reportError(context, 'The pictures could not be deleted', error);
      }
    },
    pictureSettingsReused: (id) => {
      const picture = get().pictures.find((candidate) => candidate.id === id);
      if (picture === undefined) return;
      const { request } = picture;
      if (get().models.some((model) => model.id === request.modelId)) get().modelSelected(request.modelId);
      get().generateFormChanged({ ...formValues(request), seedRule: 'fixed' });
      get().shelfReplaced(request.loras);
    },
  };
}
