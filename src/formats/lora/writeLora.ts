/** A LoRA in any of the forms in circulation, in half or full precision. */
import { LoratoryError } from '../../core/errors.ts';
import { finish, type Steps } from '../../core/steps.ts';
import { writeDiffusersLora } from './diffusers.ts';
import { kohyaSteps } from './kohya.ts';
import { writePeftLora } from './peft.ts';
import { asLowRank } from './products.ts';
import { FORM_NAMES, type LoraFile, type LoraForm, type LoraModule, type WeightChange } from './types.ts';

/** A form has no words for what an adapter holds. */
export class LoraFormError extends LoratoryError {
  readonly code = 'lora-form';

  constructor(form: LoraForm, module: string) {
    super(
      `${FORM_NAMES[form]} holds low-rank pairs only, but the adapter changes ${module} in another way.`,
      "Write kohya's form, or bring the adapter to low-rank pairs first.",
      { form, module },
    );
  }
}

export interface WriteLoraOptions {
  readonly form: LoraForm;
  readonly dtype: 'F16' | 'F32';
  /** The header's entries; hashes are added. */
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * The files of an adapter: one at the path `''`, or those of a PEFT folder.
 *
 * @throws {LoraFormError} if the form is not kohya's and the adapter holds LoHa, LoKr, full differences, biases, or DoRA that has no magnitudes
 *   of outputs or not in all layers of a part: diffusers and PEFT take all for DoRA or none.
 * @throws {LoraFileError} `not-finite` if a weight is no finite number.
 */
export function writeLora(
  lora: Pick<LoraFile, 'modules' | 'changes'>,
  options: WriteLoraOptions,
): ReadonlyMap<string, Uint8Array<ArrayBuffer>> {
  return finish(writeLoraSteps(lora, options));
}

/** {@link writeLora} layer by layer, for those who have more to do meanwhile. */
export function* writeLoraSteps(
  { modules, changes }: Pick<LoraFile, 'modules' | 'changes'>,
  { form, dtype, metadata }: WriteLoraOptions,
): Steps<ReadonlyMap<string, Uint8Array<ArrayBuffer>>> {
  if (form === 'kohya') return new Map([['', yield* kohyaSteps(modules, metadata, dtype, changes)]]);
  const pairs = [...modules, ...changes.map((change) => lowRank(change, form))];
  for (const target of ['unet', 'textEncoder'] as const) {
    const own = pairs.filter((module) => module.target === target);
    const plain = own.find(({ magnitude }) => !magnitude);
    const dora = own.find(({ magnitude }) => magnitude);
    if (plain && dora) throw new LoraFormError(form, dora.module);
  }
  if (form === 'peft') return yield* writePeftLora(pairs, metadata, dtype);
  return new Map([['', yield* writeDiffusersLora(pairs, metadata, dtype)]]);
}

function lowRank(change: WeightChange, form: LoraForm): LoraModule {
  const module = asLowRank(change);
  if (!module) throw new LoraFormError(form, change.module);
  return module;
}
