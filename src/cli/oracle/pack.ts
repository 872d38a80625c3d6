/** An oracle pack: `goldens.json`, the tensors it names, a model and LoRA files. The form is described in the pack's own index. */
import { join } from 'node:path';
import { LoratoryError } from '../../core/errors.ts';
import { readText, type FileTree } from '../../core/files.ts';
import { defined } from '../../core/invariant.ts';
import { parsePythonJson } from '../../formats/pythonJson.ts';
import { openSafetensors, type SafetensorsFile } from '../../formats/safetensors.ts';
import { folderTree } from '../nodeFiles.ts';

/** A folder is not an oracle pack, or its index does not fit its files. */
export class OraclePackError extends LoratoryError {
  readonly code = 'oracle-pack';

  constructor(folder: string, problem: string) {
    super(`${folder}: ${problem}.`, 'Name a folder that holds goldens.json, or cases.json with a tokenizer.', {
      folder,
    });
  }
}

export interface Tolerance {
  readonly atol?: number;
  readonly rtol_of_max?: number;
  readonly update_rel_l2?: number;
}

export interface OracleCase {
  readonly id: string;
  readonly group: string;
  /** In words. */
  readonly what: string;
  /** Which reference plays which part, e.g. `sample` -> `unet#b1_16x16.sample`. */
  readonly roles: Readonly<Record<string, string>>;
  readonly params: Readonly<Record<string, unknown>>;
  readonly tolerance: Readonly<Record<string, Tolerance>>;
}

export interface GoldenTensor {
  readonly shape: readonly number[];
  /** Whatever its dtype, as numbers. */
  readonly values: Float32Array | Float64Array;
}

interface PackFile {
  readonly path: string;
  readonly lora_sets?: Readonly<Record<string, { readonly alpha?: number }>>;
}

export class OraclePack {
  private readonly open = new Map<string, Promise<SafetensorsFile>>();

  private constructor(
    readonly folder: string,
    readonly format: string,
    readonly cases: readonly OracleCase[],
    readonly index: Readonly<Record<string, unknown>>,
    private readonly tree: FileTree,
    private readonly files: Readonly<Record<string, PackFile>>,
  ) {}

  static async open(folder: string): Promise<OraclePack> {
    const tree = await folderTree(folder);
    if (!tree.has('goldens.json')) throw new OraclePackError(folder, 'there is no goldens.json');
    const index = parsePythonJson('goldens.json', await readText(await tree.open('goldens.json'))) as Record<
      string,
      unknown
    >;
    const { cases, files, format } = index;
    if (!Array.isArray(cases) || typeof files !== 'object' || files === null) {
      throw new OraclePackError(folder, 'goldens.json has no "cases" or no "files"');
    }
    return new OraclePack(
      folder,
      String(format),
      cases as OracleCase[],
      index,
      tree,
      files as Record<string, PackFile>,
    );
  }

  modelTree(): Promise<FileTree> {
    return folderTree(join(this.folder, 'model'));
  }

  /** The tensor of a reference `FILE#NAME`. */
  async tensor(reference: string): Promise<GoldenTensor> {
    const [key, name] = split(reference);
    return readGolden(await this.file(key), name);
  }

  /** All tensors of a reference `FILE#PREFIX*`, by name without the prefix. */
  async tensors(reference: string): Promise<Map<string, GoldenTensor>> {
    const [key, pattern] = split(reference);
    const prefix = pattern.replace(/\*$/, '');
    const file = await this.file(key);
    const found = new Map<string, GoldenTensor>();
    for (const name of file.names()) {
      if (name.startsWith(prefix)) found.set(name.slice(prefix.length), await readGolden(file, name));
    }
    if (found.size === 0) throw new OraclePackError(this.folder, `${reference} names no tensor`);
    return found;
  }

  /** The alpha of the LoRA set of a reference `FILE#PREFIX*`, where the index says it. */
  loraAlpha(reference: string): number | undefined {
    const [key, pattern] = split(reference);
    return this.files[key]?.lora_sets?.[pattern.replace(/\*$/, '')]?.alpha;
  }

  private file(key: string): Promise<SafetensorsFile> {
    let file = this.open.get(key);
    if (!file) {
      const { path } = defined(this.files[key], `file ${key} of the pack`);
      file = this.tree.open(path).then(openSafetensors);
      this.open.set(key, file);
    }
    return file;
  }
}

function split(reference: string): [string, string] {
  const at = reference.indexOf('#');
  return [reference.slice(0, at), reference.slice(at + 1)];
}

async function readGolden(file: SafetensorsFile, name: string): Promise<GoldenTensor> {
  const { dtype, shape } = file.info(name);
  const bytes = await file.readBytes(name);
  switch (dtype) {
    case 'F32':
      return { shape, values: new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4) };
    case 'F64':
      return { shape, values: new Float64Array(bytes.buffer, bytes.byteOffset, bytes.length / 8) };
    case 'I32':
      return { shape, values: Float64Array.from(new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)) };
    case 'I64':
      return {
        shape,
        values: Float64Array.from(new BigInt64Array(bytes.buffer, bytes.byteOffset, bytes.length / 8), Number),
      };
    case 'U8':
    case 'BOOL':
      return { shape, values: Float64Array.from(bytes) };
    default:
      return { shape, values: await file.readFloat32(name) };
  }
}
