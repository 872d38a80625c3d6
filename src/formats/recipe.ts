/**
 * A recipe: everything about a run as one JSON that replays it. Settings and seeds, the model and the images by their hashes, captions
 * and crops, and the version of the studio; no pixels and no weights. The form is described in docs/recipe.md.
 */
import { type CropChoice, maxZoom } from '../core/buckets.ts';
import { LoratoryError } from '../core/errors.ts';
import { completeTrainOptions } from '../core/trainOptionsJson.ts';
import { isOfKind, optionAt, ruleInWords, type TrainOptionPath, trainOptionRules } from '../core/trainOptionRules.ts';
import { defaultTrainOptions, type TrainOptions } from '../core/trainOptions.ts';
import { packText, unpackText } from './packedText.ts';

export interface RecipeImage {
  readonly fileName: string;
  /** Of the file as it was dropped in, hex. */
  readonly sha256: string;
  readonly caption: string;
  /** How often an epoch shows it; null: as the options say. */
  readonly repeats: number | null;
  /** Null: the centre. */
  readonly crop: CropChoice | null;
  readonly heldOut: boolean;
  /** Of its mask's file, hex; null: it has none. */
  readonly maskSha256: string | null;
}

export interface RecipeModel {
  /** Hub id, or `demo`. */
  readonly id: string;
  /** Commit sha; empty where it is not known. */
  readonly revision: string;
  /** SHA-256 of its weights by path, hex, as far as they are known. */
  readonly weights: Readonly<Record<string, string>>;
}

export interface Recipe {
  /** Of the studio that trained. */
  readonly software: { readonly name: string; readonly version: string };
  readonly name: string;
  readonly triggerWord: string;
  readonly model: RecipeModel;
  /** What transparent parts of images are filled with, `#rrggbb`. */
  readonly background: string;
  readonly options: TrainOptions;
  /** In the order in which the run counts them. */
  readonly images: readonly RecipeImage[];
}

export interface ReadRecipe {
  readonly recipe: Recipe;
  /** What was left out or filled in, a sentence each. */
  readonly notes: readonly string[];
}

/** A text that is no recipe, or one that cannot be replayed. */
export class RecipeFormatError extends LoratoryError {
  readonly code = 'recipe-format';

  constructor(reason: string, remedy = 'Copy or save the recipe again, whole and unchanged.') {
    super(`This is no recipe that can be read: ${reason}.`, remedy, { reason });
  }
}

const format = 'loratory-recipe';
const version = 1;
/** What stands before a packed recipe in an address. */
const linkKey = 'recipe=';

/** The recipe as its file holds it. */
export function writeRecipe(recipe: Recipe): string {
  return `${JSON.stringify({ format, version, ...recipe }, null, 2)}\n`;
}

/** What stands behind the `#` of an address that carries the recipe. */
export function recipeFragment(recipe: Recipe): string {
  return `${linkKey}${packText(JSON.stringify({ format, version, ...recipe }))}`;
}

/**
 * Reads a recipe's JSON, or a link to it: a whole address, or what stands behind its `#`.
 *
 * @throws {RecipeFormatError | PackedTextError}
 */
export function readRecipe(text: string): ReadRecipe {
  const link = /(?:^|#)recipe=([^\s&]*)\s*$/.exec(text.trim());
  const json = link === null ? text : unpackText(link[1] ?? '');
  let parsed: unknown;
  try {
    parsed = JSON.parse(json);
  } catch {
    throw new RecipeFormatError('it is not valid JSON');
  }
  const root = new Reader(parsed, '');
  if (root.value('format') !== format) throw new RecipeFormatError(`its format is not ${format}`);
  const found = root.value('version');
  if (found !== version) {
    const isNewer = typeof found === 'number' && found > version;
    throw new RecipeFormatError(
      `its version is ${JSON.stringify(found)}, and ${version} is known here`,
      isNewer ? 'Open it with a newer version of Loratory.' : undefined,
    );
  }
  const { options, notes } = readOptions(root.value('options'));
  const software = root.child('software');
  const model = root.child('model');
  const images = root.list('images').map(readImage);
  if (images.length === 0) throw new RecipeFormatError('it has no images');
  return {
    recipe: {
      software: { name: software.text('name'), version: software.text('version') },
      name: root.text('name'),
      triggerWord: root.text('triggerWord'),
      model: { id: model.text('id'), revision: model.text('revision'), weights: readWeights(model.child('weights')) },
      background: root.match('background', /^#[0-9a-f]{6}$/i, 'a colour such as #ffffff'),
      options,
      images,
    },
    notes,
  };
}

/** What is in the options and of the wrong kind is an error, as the run would be another; what is missing is at its default. */
function readOptions(json: unknown): { readonly options: TrainOptions; readonly notes: readonly string[] } {
  if (typeof json !== 'object' || json === null) throw new RecipeFormatError('it has no options');
  const notes: string[] = [];
  for (const path of Object.keys(trainOptionRules) as TrainOptionPath[]) {
    const value = optionAt(json, path);
    const rule = trainOptionRules[path];
    if (value === undefined) notes.push(`${rule.label} is not in it and is at its default.`);
    else if (!isOfKind(value, rule)) {
      throw new RecipeFormatError(`options.${path} is ${JSON.stringify(value)}, but ${ruleInWords(rule)}`);
    }
  }
  for (const path of unknownPaths(json, defaultTrainOptions)) {
    notes.push(`The option ${path} is not known to this version and was left out.`);
  }
  return { options: completeTrainOptions(json), notes };
}

/** Paths of what is in `json` and has no place in `known`. */
function unknownPaths(json: object, known: object, prefix = ''): string[] {
  return Object.entries(json).flatMap(([key, value]: [string, unknown]) => {
    const path = `${prefix}${key}`;
    if (!Object.hasOwn(known, key)) return [path];
    const place = (known as Readonly<Record<string, unknown>>)[key];
    const isGroup =
      typeof place === 'object' && place !== null && !Array.isArray(place) && path !== 'blockLearningRates';
    return isGroup && typeof value === 'object' && value !== null ? unknownPaths(value, place, `${path}.`) : [];
  });
}

const hash = /^[0-9a-f]{64}$/;

function readWeights(weights: Reader): Record<string, string> {
  return Object.fromEntries(weights.keys().map((path) => [path, weights.match(path, hash, 'a SHA-256 in hex')]));
}

function readImage(image: Reader): RecipeImage {
  return {
    fileName: image.text('fileName'),
    sha256: image.match('sha256', hash, 'a SHA-256 in hex'),
    caption: image.text('caption'),
    repeats: image.value('repeats') === null ? null : image.number('repeats', 0, 10_000),
    crop: image.value('crop') === null ? null : readCrop(image.child('crop')),
    heldOut: image.flag('heldOut'),
    maskSha256: image.value('maskSha256') === null ? null : image.match('maskSha256', hash, 'a SHA-256 in hex'),
  };
}

function readCrop(crop: Reader): CropChoice {
  return { x: crop.number('x', 0, 1), y: crop.number('y', 0, 1), zoom: crop.number('zoom', 1, maxZoom) };
}

/** A JSON object whose values are taken out by kind; everything else is an error that names the place. */
class Reader {
  private readonly record: Readonly<Record<string, unknown>>;

  constructor(
    json: unknown,
    private readonly place: string,
  ) {
    if (typeof json !== 'object' || json === null || Array.isArray(json)) {
      throw new RecipeFormatError(`${place === '' ? 'it' : place} is no object`);
    }
    this.record = json as Readonly<Record<string, unknown>>;
  }

  keys(): string[] {
    return Object.keys(this.record);
  }

  value(key: string): unknown {
    return Object.hasOwn(this.record, key) ? this.record[key] : undefined;
  }

  text(key: string): string {
    const value = this.value(key);
    return typeof value === 'string' ? value : this.wrong(key, 'text');
  }

  flag(key: string): boolean {
    const value = this.value(key);
    return typeof value === 'boolean' ? value : this.wrong(key, 'true or false');
  }

  number(key: string, low: number, high: number): number {
    const value = this.value(key);
    const isRight = typeof value === 'number' && value >= low && value <= high;
    return isRight ? value : this.wrong(key, `a number from ${low} to ${high}`);
  }

  match(key: string, pattern: RegExp, what: string): string {
    const value = this.value(key);
    return typeof value === 'string' && pattern.test(value) ? value : this.wrong(key, what);
  }

  child(key: string): Reader {
    return new Reader(this.value(key), this.path(key));
  }

  list(key: string): Reader[] {
    const value = this.value(key);
    return Array.isArray(value)
      ? value.map((entry: unknown, i) => new Reader(entry, `${this.path(key)}[${i}]`))
      : this.wrong(key, 'a list');
  }

  private path(key: string): string {
    return this.place === '' ? key : `${this.place}.${key}`;
  }

  private wrong(key: string, wanted: string): never {
    const value = this.value(key);
    const is = value === undefined ? 'missing' : JSON.stringify(value).slice(0, 60);
    throw new RecipeFormatError(`${this.path(key)} is ${is}, but it must be ${wanted}`);
  }
}
