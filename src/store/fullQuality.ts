/** What shortcuts do to a picture: it is drawn again in full, from the same seed, and the two are compared, by the eye and by numbers. */
import { shortcutsOf, SHALLOW_SHARES, usesShortcuts, withoutShortcuts, workShare } from '../core/shortcuts.ts';
import { demoModel } from '../core/demoModel.ts';
import { isAborted } from '../worker/client.ts';
import type { GalleryPicture, Likeness } from '../worker/protocol.ts';
import type { GenerateForm } from './generateForm.ts';
import { loraName } from './shelf.ts';
import { reportError, type SliceContext, type StudioState } from './slice.ts';

export interface FullQualitySlice {
  /** Draws a picture's settings without their shortcuts, unless that was done before, and shows the two compared. */
  readonly fullQualityWished: (pictureId: string) => Promise<void>;
  /** How alike two pictures are; null for pictures of different sizes, and where they cannot be read. */
  readonly likenessAsked: (first: Blob, second: Blob) => Promise<Likeness | null>;
}

/** Whether there is something to compare with, and why not: `begun` with a picture that is not kept any more. */
export function fullQualityOf(
  { initImages }: Pick<StudioState, 'initImages'>,
  { id, request, plot, fromPicture = false }: GalleryPicture,
): 'none' | 'drawable' | 'begun' {
  if (plot !== undefined || !usesShortcuts(request)) return 'none';
  return fromPicture && !initImages.has(id) ? 'begun' : 'drawable';
}

/**
 * The share of the UNet's work, 0..1, that the form's shortcuts leave, of as many calls as its steps make; null while a number is not one.
 * The steps that a picture to begin with leaves out, and the second walk of hires fix, hardly change it: shortcuts are shares themselves.
 */
export function workOfForm(form: GenerateForm, modelId: string | null): number | null {
  const steps = Number(form.steps);
  const walk = {
    calls: form.scheduler === 'heun' ? 2 * steps - 1 : steps,
    guidanceScale: Number(form.guidanceScale),
    guidanceStart: Number(form.guidanceStart),
    guidanceEnd: Number(form.guidanceEnd),
    reuseInterval: Number(form.reuseInterval),
  };
  if (Object.values(walk).some((value) => !Number.isFinite(value)) || !(walk.calls >= 1)) return null;
  return workShare(walk, modelId === demoModel.id ? SHALLOW_SHARES.demo : SHALLOW_SHARES.sd15);
}

/** A picture's shortcuts and its precision, as facts beside its others. */
export function shortcutFacts(request: GalleryPicture['request']): string[] {
  const { guidanceStart, guidanceEnd, reuseInterval } = shortcutsOf(request);
  return [
    ...(guidanceStart > 0 || guidanceEnd < 1 ? [`guided from ${guidanceStart} to ${guidanceEnd}`] : []),
    ...(reuseInterval > 1 ? [`reuse ${reuseInterval}`] : []),
    ...(request.mixedPrecision === 'fp16' ? ['fp16'] : []),
  ];
}

export function createFullQualitySlice(context: SliceContext): FullQualitySlice {
  const { client, get } = context;
  /** By the picture with shortcuts: the one in full. Of this visit. */
  const drawn = new Map<string, string>();

  const drawFull = async ({ id, request: asked }: GalleryPicture): Promise<string | null> => {
    const known = drawn.get(id);
    if (known !== undefined && get().pictures.some((picture) => picture.id === known)) return known;
    const initImage = get().initImages.get(id);
    const request = { ...withoutShortcuts(asked), ...(initImage ? { initImage } : {}) };
    const began = Date.now();
    const { signal } = new AbortController();
    const [picture] = await get().drawingRequested(request, { signal, keep: false });
    // What was stopped on the way is no picture in full.
    if (picture === undefined || picture.isPartial) return null;
    const loraNames = request.loras.map(({ source }) => loraName(get(), source) ?? 'LoRA');
    const kept = await get().pictureDrawn(picture, request, loraNames, Date.now() - began);
    drawn.set(id, kept.id);
    return kept.id;
  };

  return {
    fullQualityWished: async (pictureId) => {
      const picture = get().pictures.find(({ id }) => id === pictureId);
      if (picture === undefined || fullQualityOf(get(), picture) !== 'drawable') return;
      try {
        const full = await drawFull(picture);
        if (full === null) return;
        get().tryViewOpened('picture');
        get().pictureShown(pictureId);
        get().comparisonChosen(full);
      } catch (error) {
        if (!isAborted(error)) reportError(context, 'The picture could not be drawn in full', error);
      }
    },
    likenessAsked: (first, second) => client.request('pictures.likeness', { first, second }).catch(() => null),
  };
}
