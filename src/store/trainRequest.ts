/** What the Train room asks for: the form, the images and the name as one request. */
import { hasHalfPrecision } from './gpu.ts';
import type { DatasetImage, SamplePrompt, TrainRequest } from '../worker/protocol.ts';
import type { StudioState } from './slice.ts';
import { suggestSamplePrompts } from './caption.ts';
import { sizesInUse } from './modelDefaults.ts';
import { readTrainForm, type TrainFormContext } from './trainForm.ts';

/** The prompts in force: edited ones, or suggestions from trigger word and captions. */
export function samplePromptsOf(state: StudioState): readonly SamplePrompt[] {
  if (state.editedPrompts !== null) return state.editedPrompts;
  const seed = Number(state.trainForm.seed);
  const captions = state.images.map(({ caption }) => caption);
  return suggestSamplePrompts(state.triggerWord, captions, Number.isInteger(seed) && seed >= 0 ? seed : 42);
}

/** What the form is checked against: the model in use and the number of images. */
export function trainFormContext(
  state: Pick<StudioState, 'models' | 'selectedModelId' | 'images' | 'gpu'>,
): TrainFormContext {
  return { ...sizesInUse(state), imageCount: state.images.length, halfPrecision: hasHalfPrecision(state) };
}

/** The name in force: the edited one, or the trigger word with a number that no run has yet, be it trained or queued. */
export function runNameOf(state: Pick<StudioState, 'editedRunName' | 'triggerWord' | 'runs' | 'queuedRuns'>): string {
  if (state.editedRunName !== null) return state.editedRunName;
  const base = state.triggerWord.trim() === '' ? 'My LoRA' : state.triggerWord.trim();
  const taken = new Set([...state.runs, ...state.queuedRuns.map(({ request }) => request)].map(({ name }) => name));
  let name = base;
  for (let n = 2; taken.has(name); n++) name = `${base} ${n}`;
  return name;
}

/** What still stands between the person and Start, one sentence each; empty if nothing does. */
export function trainObstacles(state: StudioState): string[] {
  const obstacles: string[] = [];
  if (state.gpu.status === 'unavailable') obstacles.push('Training needs a browser with WebGPU.');
  if (state.selectedModelId === null) obstacles.push('Choose a model first.');
  if (state.adding !== null || state.sampleSetLoading !== null) obstacles.push('The images are still being read.');
  else if (imagesToTrain(state).length === 0) obstacles.push('Add at least one image.');
  if (runNameOf(state).trim() === '') obstacles.push('Give the run a name.');
  const { options } = readTrainForm(state.trainForm, samplePromptsOf(state), trainFormContext(state));
  if (options === null) obstacles.push('Correct the settings marked in red.');
  return obstacles;
}

/** The images to train on: all of them, or those of the recipe that is to be replayed, in its order. */
export function imagesToTrain({
  images,
  replayIds,
}: Pick<StudioState, 'images' | 'replayIds'>): readonly DatasetImage[] {
  if (replayIds === null) return images;
  const known = new Map(images.map((image) => [image.id, image]));
  return replayIds.flatMap((id) => known.get(id) ?? []);
}

/** The request as the form stands; null while something is in the way. */
export function trainRequestOf(state: StudioState): TrainRequest | null {
  const { options } = readTrainForm(state.trainForm, samplePromptsOf(state), trainFormContext(state));
  if (state.selectedModelId === null || options === null || trainObstacles(state).length > 0) return null;
  return {
    modelId: state.selectedModelId,
    name: runNameOf(state).trim(),
    triggerWord: state.triggerWord.trim(),
    images: imagesToTrain(state).map(({ id, caption, repeats, crop, heldOut }) => ({
      id,
      caption,
      repeats,
      crop,
      heldOut,
    })),
    background: state.background,
    options,
  };
}
