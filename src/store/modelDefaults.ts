/** What the forms take over from the model in use: the size it was trained at, and the presets that suit it. */
import { guidanceScaleFor, type PresetKind, type PresetName, presetNameFor, presets } from '../core/presets.ts';
import type { ListedModel } from '../worker/protocol.ts';
import type { GenerateForm } from './generateForm.ts';
import { explainNumber, matchingPreset, presetPart, presetTexts, resolutionRule, type TrainForm } from './trainForm.ts';

export type ModelSizes = Pick<ListedModel, 'imageSize' | 'sizeUnit'>;

const sizesOfSD15: ModelSizes = { imageSize: 512, sizeUnit: 8 };

interface ModelInUse {
  readonly models: readonly ListedModel[];
  readonly selectedModelId: string | null;
}

/** The sizes of the model in use; SD 1.5's while none is chosen. */
export function sizesInUse({ models, selectedModelId }: ModelInUse): ModelSizes {
  return models.find(({ id }) => id === selectedModelId) ?? sizesOfSD15;
}

const kinds: readonly PresetKind[] = ['style', 'character'];

/** Which kind of preset stands in the form, of those for this model; null if its values were changed. */
export function presetInForm(form: TrainForm, modelId: string | null): PresetKind | null {
  return kinds.find((kind) => matchingPreset(form, [presetNameFor(modelId, kind)]) !== null) ?? null;
}

/**
 * The form for another model. What the person has set stays, as long as the model can do it; an untouched preset becomes the
 * model's own of its kind, and a resolution that was the former model's becomes this one's.
 */
export function followTrainForm(form: TrainForm, model: ListedModel, former: ListedModel | null): TrainForm {
  const untouched = matchingPreset(form, Object.keys(presets) as PresetName[]);
  const kind = kinds.find((each) => untouched !== null && untouched.toLowerCase().endsWith(each));
  const own = kind === undefined ? null : presetNameFor(model.id, kind);
  const values = own === null || own === untouched ? {} : presetPart(presetTexts(own));
  const fits = explainNumber(form.resolution, resolutionRule(model.imageSize)) === null;
  const followed = Number(form.resolution) === former?.imageSize || !fits;
  return { ...form, ...values, ...(followed ? { resolution: String(model.imageSize) } : {}) };
}

/** The same for the form of the Try room: its width and height, and its guidance. */
export function followGenerateForm(form: GenerateForm, model: ListedModel, former: ListedModel | null): GenerateForm {
  const sides = [Number(form.width), Number(form.height)];
  const fits = sides.every((side) => side <= 2 * model.imageSize && side % model.sizeUnit === 0);
  const followed = sides.every((side) => side === former?.imageSize) || !fits;
  const side = String(model.imageSize);
  const untouched = Number(form.guidanceScale) === guidanceScaleFor(former?.id ?? null);
  return {
    ...form,
    ...(followed ? { width: side, height: side } : {}),
    ...(untouched ? { guidanceScale: String(guidanceScaleFor(model.id)) } : {}),
  };
}
