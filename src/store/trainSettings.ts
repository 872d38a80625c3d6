/** What the Train room's form says as a whole, for its many fields: worked out once for each state of it. */
import { planImages, resolveTrainSteps } from '../core/epochs.ts';
import type { TrainOptions } from '../core/trainOptions.ts';
import { heldOutImages } from '../core/validationSplit.ts';
import { sizesInUse } from './modelDefaults.ts';
import { type ListedPreset, presetInUse } from './presets.ts';
import type { StudioState } from './slice.ts';
import { changedFields, readableOptions, readTrainForm, type TrainField, type TrainFormErrors } from './trainForm.ts';
import { imagesToTrain, samplePromptsOf, trainFormContext } from './trainRequest.ts';

/** `compute`, remembered for as long as `inputs` are the same things. */
function remembered<T>(
  inputs: (state: StudioState) => readonly unknown[],
  compute: (state: StudioState) => T,
): (state: StudioState) => T {
  let last: { readonly keys: readonly unknown[]; readonly value: T } | null = null;
  return (state) => {
    const keys = inputs(state);
    if (last === null || keys.some((key, i) => key !== last?.keys[i])) last = { keys, value: compute(state) };
    return last.value;
  };
}

/** The options in the form; fields that are wrong count as their defaults. */
export const optionsInForm = remembered<TrainOptions>(
  (state) => [state.trainForm, sizesInUse(state).imageSize],
  (state) => readableOptions(state.trainForm, sizesInUse(state).imageSize),
);

/** What is wrong in the form, field by field. */
export const errorsInForm = remembered<TrainFormErrors>(
  (state) => [
    state.trainForm,
    state.editedPrompts,
    state.images,
    state.triggerWord,
    state.models,
    state.selectedModelId,
    state.gpu,
  ],
  (state) => readTrainForm(state.trainForm, samplePromptsOf(state), trainFormContext(state)).errors,
);

/** What the form was started from. */
export const basePreset = remembered<ListedPreset>(
  (state) => [state.presetId, state.ownPresets, state.models, state.selectedModelId],
  presetInUse,
);

/** Fields that are not as in the preset. */
export const fieldsChanged = remembered<ReadonlySet<TrainField>>(
  (state) => [state.trainForm, basePreset(state)],
  (state) => new Set(changedFields(state.trainForm, basePreset(state).form)),
);

/** The options in the form with the steps that its epochs take on the images as they are. */
export const resolvedOptions = remembered<TrainOptions>(
  (state) => [optionsInForm(state), state.images, state.replayIds],
  (state) => {
    const options = optionsInForm(state);
    const images = imagesToTrain(state);
    const heldOut = heldOutImages(images, options.validation);
    const trained = images.filter((_, i) => heldOut[i] !== true);
    return trained.length === 0 ? options : resolveTrainSteps(options, planImages(trained, options));
  },
);
