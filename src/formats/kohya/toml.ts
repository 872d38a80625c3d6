/**
 * The files of a kohya training as one flat list of arguments: config TOML (`--config_file`), dataset TOML (`--dataset_config`) and the
 * file of sample prompts, in any mixture.
 *
 * A config file's tables are only headings: kohya's trainers flatten them. In a dataset file a subset goes before its dataset, that
 * before `[general]`, and all of them before the config. Source: kohya-ss/sd-scripts, library/config_util.py and train_util.py.
 */
import { parse, TomlDate, TomlError, type TomlTable, type TomlValue } from 'smol-toml';
import { LoratoryError } from '../../core/errors.ts';
import { isPromptLines } from '../../core/promptLines.ts';

/** A file that is no TOML, or not one of kohya's. */
export class KohyaFileError extends LoratoryError {
  readonly code = 'kohya-file';

  constructor(fileName: string, reason: string, remedy: string, options?: ErrorOptions) {
    super(`${fileName} cannot be read as a kohya config: ${reason}.`, remedy, { fileName, reason }, options);
  }
}

export interface NamedText {
  readonly name: string;
  readonly text: string;
}

/** What an argument can be, dates and tables apart. */
export type KohyaValue = string | number | boolean | readonly KohyaValue[];

export interface KohyaArguments {
  readonly args: ReadonlyMap<string, KohyaValue>;
  /** Of the files' subsets of regularisation images: how many there are. */
  readonly regularisationSubsets: number;
  /** Where datasets or subsets do not agree, the first counts: each case in a sentence. */
  readonly disagreements: readonly string[];
  /** The text of a file of sample prompts; null if none was among the files. */
  readonly promptFile: string | null;
}

/** Throws {@link KohyaFileError}. */
export function readKohyaFiles(files: readonly NamedText[]): KohyaArguments {
  const args = new Map<string, KohyaValue>();
  const fromDatasets = new Map<string, KohyaValue>();
  const disagreements: string[] = [];
  let regularisationSubsets = 0;
  let promptFile: string | null = null;
  for (const { name, text } of files) {
    if (
      !/\.toml$/i.test(name) &&
      (/\.txt$/i.test(name) || isPromptLines(text)) &&
      !/^\s*[\w.-]+\s*=|^\s*\[/m.test(text)
    ) {
      promptFile = text;
      continue;
    }
    const table = parseToml(name, text);
    if (Array.isArray(table['datasets'])) {
      regularisationSubsets += addDatasets(name, table, fromDatasets, disagreements);
    } else {
      for (const [key, value] of flatten(table)) set(args, key, value);
    }
  }
  for (const [key, value] of fromDatasets) args.set(key, value);
  return { args, regularisationSubsets, disagreements, promptFile };
}

function parseToml(fileName: string, text: string): TomlTable {
  try {
    return parse(text);
  } catch (cause) {
    if (!(cause instanceof TomlError)) throw cause;
    const [message = ''] = cause.message.split('\n');
    const reason = message.replace(/^Invalid TOML document: /, '').replace(/\.$/, '');
    throw new KohyaFileError(
      fileName,
      `line ${cause.line}, column ${cause.column}: ${reason}`,
      'Correct that line, and drop the file again.',
      { cause },
    );
  }
}

function isTable(value: TomlValue | undefined): value is TomlTable {
  return typeof value === 'object' && !Array.isArray(value) && !(value instanceof TomlDate);
}

/** As kohya does it: one level of tables is a heading, what stands deeper is a value that nobody reads. */
function* flatten(table: TomlTable): Generator<[string, TomlValue]> {
  for (const [key, value] of Object.entries(table)) {
    if (isTable(value)) yield* Object.entries(value);
    else yield [key, value];
  }
}

function valueOf(value: TomlValue): KohyaValue | null {
  if (typeof value === 'bigint') return Number(value);
  if (Array.isArray(value)) {
    const values = value.map(valueOf);
    return values.includes(null) ? null : (values as KohyaValue[]);
  }
  return typeof value === 'object' ? null : value;
}

function set(args: Map<string, KohyaValue>, key: string, value: TomlValue): void {
  const plain = valueOf(value);
  args.set(key, plain ?? 'a table');
}

/** Adds the first dataset's first subset of images to train on over its dataset over `[general]`. Returns the regularisation subsets. */
function addDatasets(
  fileName: string,
  table: TomlTable,
  args: Map<string, KohyaValue>,
  disagreements: string[],
): number {
  const tablesOf = (value: TomlValue | undefined, what: string): TomlTable[] => {
    if (value === undefined) return [];
    if (!Array.isArray(value) || !value.every((entry) => isTable(entry))) {
      throw new KohyaFileError(fileName, `${what} is no list of tables`, `Write it as [[${what}]].`);
    }
    return value;
  };
  const general = isTable(table['general']) ? table['general'] : {};
  const layers: { readonly values: Map<string, KohyaValue>; readonly isReg: boolean }[] = [];
  for (const { subsets, ...dataset } of tablesOf(table['datasets'], 'datasets')) {
    for (const subset of tablesOf(subsets, 'datasets.subsets')) {
      const values = new Map<string, KohyaValue>();
      for (const layer of [general, dataset, subset]) {
        for (const [key, value] of Object.entries(layer)) set(values, key, value);
      }
      layers.push({ values, isReg: values.get('is_reg') === true });
    }
  }
  const [first, ...others] = layers.filter(({ isReg }) => !isReg);
  if (first === undefined) {
    throw new KohyaFileError(fileName, 'it has no [[datasets.subsets]] to train on', 'Add one with its image_dir.');
  }
  for (const [key, value] of first.values) if (key !== 'is_reg') args.set(key, value);
  const differing = new Set<string>();
  for (const { values } of others) {
    for (const key of new Set([...first.values.keys(), ...values.keys()])) {
      if (key !== 'image_dir' && JSON.stringify(values.get(key)) !== JSON.stringify(first.values.get(key))) {
        differing.add(key);
      }
    }
  }
  for (const key of differing)
    disagreements.push(`${key} differs between the subsets of ${fileName}: the first one’s counts.`);
  return layers.filter(({ isReg }) => isReg).length;
}
