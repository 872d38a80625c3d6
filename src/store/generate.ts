/** The Try panel: one picture at a time, the newest wish wins. */
import { type PlainError, toPlainError } from '../core/errors.ts';
import { isAborted } from '../worker/client.ts';
import type { GenerateProgress, GenerateRequest } from '../worker/protocol.ts';
import { type GenerateForm, generateFormErrors, initialGenerateForm } from './generateForm.ts';
import { createLatestWins } from './latestWins.ts';
import { sizesInUse } from './modelDefaults.ts';
import { recallForm, remember } from './persisted.ts';
import type { SliceContext, StudioState } from './slice.ts';

export interface Picture {
  readonly id: number;
  readonly png: Blob;
  readonly width: number;
  readonly height: number;
  readonly milliseconds: number;
  readonly request: GenerateRequest;
  /** Name of the LoRA that it was drawn with, if any. */
  readonly loraName: string | null;
}

export interface GenerateSlice {
  readonly generateForm: GenerateForm;
  readonly generateLora: { readonly runId: string; readonly weight: number } | null;
  readonly generating: {
    readonly startedAt: number;
    readonly progress: GenerateProgress | null;
    readonly cancelling: boolean;
  } | null;
  /** Newest last; of this visit only. */
  readonly pictures: readonly Picture[];
  readonly shownPictureId: number | null;
  readonly generateError: PlainError | null;
  readonly generateFieldEdited: <F extends keyof GenerateForm>(field: F, value: GenerateForm[F]) => void;
  readonly generateLoraChosen: (runId: string | null) => void;
  /** Redraws with the same seed, a moment after the slider came to rest. */
  readonly loraWeightMoved: (weight: number) => void;
  readonly generatePressed: () => void;
  readonly generateCancelled: () => void;
  readonly pictureShown: (id: number) => void;
  /** Puts the picture's settings back into the form. */
  readonly pictureSettingsReused: (id: number) => void;
}

/** Older pictures are dropped: a session of sliding would otherwise fill the memory. */
const keptPictures = 60;
const redrawDelayMs = 180;

/** The request that the form stands for, or null while something is missing or wrong. */
export function generateRequestOf(state: StudioState): GenerateRequest | null {
  const { generateForm: form, generateLora: lora, selectedModelId: modelId } = state;
  if (modelId === null || Object.keys(generateFormErrors(form, sizesInUse(state))).length > 0) return null;
  return {
    modelId,
    prompt: form.prompt,
    negativePrompt: form.negativePrompt,
    seed: Number(form.seed),
    numInferenceSteps: Number(form.steps),
    guidanceScale: Number(form.guidanceScale),
    width: Number(form.width),
    height: Number(form.height),
    scheduler: form.scheduler,
    loras: lora === null ? [] : [{ source: { kind: 'run', runId: lora.runId }, weight: lora.weight }],
  };
}

function runLoraOf({ loras: [lora] }: GenerateRequest): { readonly runId: string; readonly weight: number } | null {
  return lora?.source.kind === 'run' ? { runId: lora.source.runId, weight: lora.weight } : null;
}

export function createGenerateSlice({ client, set, get }: SliceContext): GenerateSlice {
  const latest = createLatestWins();
  let redraw: ReturnType<typeof setTimeout> | undefined;
  let nextId = 1;

  const draw = (): void => {
    const request = generateRequestOf(get());
    if (request === null) return;
    const runId = runLoraOf(request)?.runId;
    const loraName = get().runs.find(({ id }) => id === runId)?.name ?? null;
    set({ generating: { startedAt: Date.now(), progress: null, cancelling: false }, generateError: null });
    latest.run(async (signal) => {
      const startedAt = Date.now();
      set({ generating: { startedAt, progress: null, cancelling: false } });
      try {
        const { pictures: drawn, milliseconds } = await client.request('generate', request, {
          signal,
          on: {
            'generate.progress': (progress) => {
              if (!signal.aborted) set({ generating: { startedAt, progress, cancelling: false } });
            },
          },
        });
        const [first] = drawn;
        if (first === undefined) return;
        const { png, width, height } = first;
        const picture: Picture = { id: nextId++, png, width, height, milliseconds, request, loraName };
        set((state) => ({ pictures: [...state.pictures, picture].slice(-keptPictures), shownPictureId: picture.id }));
      } catch (error) {
        if (!isAborted(error)) set({ generateError: toPlainError(error) });
      } finally {
        set({ generating: null });
      }
    });
  };

  const editForm = (values: Partial<GenerateForm>): void => {
    const generateForm = { ...get().generateForm, ...values };
    remember('generateForm', JSON.stringify(generateForm));
    set({ generateForm });
  };

  return {
    generateForm: recallForm('generateForm', initialGenerateForm),
    generateLora: null,
    generating: null,
    pictures: [],
    shownPictureId: null,
    generateError: null,
    generateFieldEdited: (field, value) => editForm({ [field]: value }),
    generateLoraChosen: (runId) => {
      const weight = get().generateLora?.weight ?? 1;
      set({ generateLora: runId === null ? null : { runId, weight } });
    },
    loraWeightMoved: (weight) => {
      set(({ generateLora }) => (generateLora === null ? {} : { generateLora: { ...generateLora, weight } }));
      clearTimeout(redraw);
      // Nothing to compare with before the first picture, nothing to draw with during a run: then it only sets the weight.
      if (get().isTraining) return;
      if (get().pictures.length > 0 || get().generating !== null) redraw = setTimeout(draw, redrawDelayMs);
    },
    generatePressed: () => {
      clearTimeout(redraw);
      draw();
    },
    generateCancelled: () => {
      clearTimeout(redraw);
      latest.cancel();
      set(({ generating }) => (generating === null ? {} : { generating: { ...generating, cancelling: true } }));
    },
    pictureShown: (id) => set({ shownPictureId: id }),
    pictureSettingsReused: (id) => {
      const picture = get().pictures.find((candidate) => candidate.id === id);
      if (picture === undefined) return;
      const { request } = picture;
      editForm({
        prompt: request.prompt,
        negativePrompt: request.negativePrompt,
        seed: String(request.seed),
        steps: String(request.numInferenceSteps),
        guidanceScale: String(request.guidanceScale),
        width: String(request.width),
        height: String(request.height),
        scheduler: request.scheduler,
      });
      set({ generateLora: runLoraOf(request) });
    },
  };
}
