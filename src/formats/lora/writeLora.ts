/** A LoRA in any of the forms in circulation, in half or full precision. */
import { LoratoryError } from '../../core/errors.ts';
import { writeDiffusersLora } from './diffusers.ts';
import { writeKohyaLora } from './kohya.ts';
import { writePeftLora } from './peft.ts';
import { FORM_NAMES, type LoraFile, type LoraForm } from './types.ts';

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
 * @throws {LoraFormError} if the form is not kohya's and the adapter holds LoHa, LoKr, DoRA, full differences or biases.
 * @throws {LoraFileError} `not-finite` if a weight is no finite number.
 */
export function writeLora(
  { modules, changes }: Pick<LoraFile, 'modules' | 'changes'>,
  { form, dtype, metadata }: WriteLoraOptions,
): ReadonlyMap<string, Uint8Array<ArrayBuffer>> {
  const other = changes[0];
  if (form !== 'kohya' && other) throw new LoraFormError(form, other.module);
  if (form === 'peft') return writePeftLora(modules, metadata, dtype);
  const bytes =
    form === 'kohya' ? writeKohyaLora(modules, metadata, dtype, changes) : writeDiffusersLora(modules, metadata, dtype);
  return new Map([['', bytes]]);
}
