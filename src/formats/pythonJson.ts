import { LoratoryError } from '../core/errors.ts';

/** A text that should be JSON is not. */
export class JsonSyntaxError extends LoratoryError {
  readonly code = 'json-syntax';

  constructor(name: string, reason: string, options?: ErrorOptions) {
    super(
      `${name} is not valid JSON: ${reason}.`,
      'Download the file again, or take it from its original source.',
      { name, reason },
      options,
    );
  }
}

// A JSON string (kept as it is) or one of the three words that Python's json.dump writes although JSON has no word for them.
const STRING_OR_WORD = /"(?:[^"\\]|\\.)*"|-?Infinity|NaN/g;
const LARGE = { Infinity: '1e999', '-Infinity': '-1e999', NaN: 'null' } as const;

/**
 * Parses JSON as Python writes it: `Infinity`, `-Infinity` and `NaN` occur as bare words (schedulers' configs have them).
 * They become the infinities and null. Throws {@link JsonSyntaxError} naming `name` for anything else that is not JSON.
 */
export function parsePythonJson(name: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (strict) {
    const replaced = text.replace(STRING_OR_WORD, (match) => LARGE[match as keyof typeof LARGE] ?? match);
    if (replaced === text) throw new JsonSyntaxError(name, (strict as Error).message, { cause: strict });
    try {
      return JSON.parse(replaced);
    } catch (error) {
      throw new JsonSyntaxError(name, (error as Error).message, { cause: error });
    }
  }
}
