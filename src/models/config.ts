/** Reading config.json: snake_case JSON is turned into typed camelCase records here, once. */
import { LoratoryError } from '../core/errors.ts';
import { readText, type FileTree } from '../core/files.ts';

/** A model part is of a kind, or has an option, that Loratory does not implement. */
export class UnsupportedModelError extends LoratoryError {
  readonly code = 'unsupported-model';

  constructor(where: string, what: string) {
    super(
      `${where}: ${what} is not supported.`,
      'Choose a model with the layout of Stable Diffusion 1.5 in diffusers form.',
      { where, what },
    );
  }
}

/** A config.json is missing, is not JSON, or lacks a field. */
export class ModelConfigError extends LoratoryError {
  readonly code = 'model-config';

  constructor(where: string, problem: string) {
    super(`${where}: ${problem}.`, 'Delete the model and download it again, or choose another repository.', {
      where,
      problem,
    });
  }
}

/** The fields of one config.json, read with defaults and type checks that name file and field. */
export class ConfigReader {
  constructor(
    readonly where: string,
    private readonly fields: Readonly<Record<string, unknown>>,
  ) {}

  static async open(tree: FileTree, path: string): Promise<ConfigReader> {
    const where = `${tree.name}/${path}`;
    if (!tree.has(path)) throw new ModelConfigError(where, 'the file is missing');
    let parsed: unknown;
    try {
      parsed = JSON.parse(await readText(await tree.open(path)));
    } catch (cause) {
      if (cause instanceof SyntaxError) throw new ModelConfigError(where, 'it is not valid JSON');
      throw cause;
    }
    if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
      throw new ModelConfigError(where, 'it is not a JSON object');
    }
    return new ConfigReader(where, parsed as Record<string, unknown>);
  }

  raw(name: string): unknown {
    return this.fields[name];
  }

  number(name: string, fallback?: number): number {
    return this.typed(name, fallback, 'a number', (value) => typeof value === 'number' && Number.isFinite(value));
  }

  boolean(name: string, fallback?: boolean): boolean {
    return this.typed(name, fallback, 'true or false', (value) => typeof value === 'boolean');
  }

  string(name: string, fallback?: string): string {
    return this.typed(name, fallback, 'text', (value) => typeof value === 'string');
  }

  numbers(name: string, fallback?: readonly number[]): readonly number[] {
    return this.typed(
      name,
      fallback,
      'a list of numbers',
      (value) => Array.isArray(value) && value.every((item) => typeof item === 'number'),
    );
  }

  strings(name: string, fallback?: readonly string[]): readonly string[] {
    return this.typed(
      name,
      fallback,
      'a list of names',
      (value) => Array.isArray(value) && value.every((item) => typeof item === 'string'),
    );
  }

  /** Throws {@link UnsupportedModelError} unless the field is absent, null or one of `allowed`. */
  require(name: string, allowed: readonly unknown[]): void {
    const value = this.fields[name];
    if (value === undefined || value === null || allowed.includes(value)) return;
    throw new UnsupportedModelError(this.where, `"${name}": ${JSON.stringify(value)}`);
  }

  private typed<T>(name: string, fallback: T | undefined, kind: string, fits: (value: unknown) => boolean): T {
    const value = this.fields[name];
    if (value === undefined || value === null) {
      if (fallback === undefined) throw new ModelConfigError(this.where, `the field "${name}" is missing`);
      return fallback;
    }
    if (!fits(value)) throw new ModelConfigError(this.where, `the field "${name}" should be ${kind}`);
    return value as T;
  }
}
