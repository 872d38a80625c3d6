/**
 * A folder seen as Hub repositories: DIR/<org>/<name>/..., or, when DIR itself is a model, `local/<basename>`.
 * Everything is worked out anew for each request (hashes are cached by size and time), so files may change while it runs.
 */
import { createHash } from 'node:crypto';
import { createReadStream, type Stats } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';

/** A file of a repository. */
export interface RepositoryFile {
  /** Slash-separated, relative to the repository. */
  readonly path: string;
  /** On this disk. */
  readonly location: string;
  readonly size: number;
  /** What git calls it: SHA-1 of the file's blob or, for an LFS file, of its pointer's blob. */
  readonly oid: string;
  /** Set for files that the Hub would keep outside git. */
  readonly lfs: { readonly oid: string; readonly size: number; readonly pointerSize: number } | null;
}

/** A repository at this moment. */
export interface Repository {
  readonly id: string;
  /** 40 hexadecimal digits that depend on the paths and contents alone. */
  readonly sha: string;
  readonly lastModified: Date;
  /** Sorted by path. */
  readonly files: readonly RepositoryFile[];
}

// What the Hub's default .gitattributes sends to LFS, as far as models have it, and its limit for plain git files.
const LFS_SUFFIX = /\.(safetensors|bin|ckpt|pt|pth|onnx|msgpack|h5|gguf|npz|npy|zip|tar|gz)$/;
const LFS_SIZE = 10 * 1024 * 1024;
const ID = /^[\w.-]+\/[\w.-]+$/;

/** Finds repositories under a root folder. */
export class Repositories {
  readonly #root: string;
  readonly #hashes = new Map<string, { stamp: string; oid: string; sha256: string }>();

  constructor(root: string) {
    this.#root = resolve(root);
  }

  /** All ids that are served, sorted. */
  async ids(): Promise<string[]> {
    if (await this.#rootIsModel()) return [`local/${basename(this.#root)}`];
    const ids: string[] = [];
    for (const org of await folders(this.#root)) {
      for (const name of await folders(join(this.#root, org))) ids.push(`${org}/${name}`);
    }
    return ids.filter((id) => ID.test(id)).sort();
  }

  /** The repository of that id; undefined if there is none. */
  async find(id: string): Promise<Repository | undefined> {
    const folder = await this.#folder(id);
    if (folder === undefined) return undefined;
    const files: RepositoryFile[] = [];
    let lastModified = new Date(0);
    for (const path of await listFiles(folder)) {
      const location = join(folder, path);
      const stats = await stat(location);
      files.push(await this.#describe(path, location, stats));
      if (stats.mtime > lastModified) lastModified = stats.mtime;
    }
    const commit = createHash('sha1');
    for (const { path, oid } of files) commit.update(`${path}\0${oid}\n`);
    return { id, sha: commit.digest('hex'), lastModified, files };
  }

  async #rootIsModel(): Promise<boolean> {
    return (await statOrNone(join(this.#root, 'model_index.json')))?.isFile() ?? false;
  }

  async #folder(id: string): Promise<string | undefined> {
    if (!ID.test(id) || id.split('/').some((part) => part === '.' || part === '..')) return undefined;
    if (await this.#rootIsModel()) return id === `local/${basename(this.#root)}` ? this.#root : undefined;
    const folder = join(this.#root, id);
    return (await statOrNone(folder))?.isDirectory() ? folder : undefined;
  }

  async #describe(path: string, location: string, stats: Stats): Promise<RepositoryFile> {
    const { size } = stats;
    const stamp = `${size} ${stats.mtimeMs}`;
    let hashes = this.#hashes.get(location);
    if (hashes?.stamp !== stamp) {
      const [gitHash, sha] = [createHash('sha1').update(`blob ${size}\0`), createHash('sha256')];
      await pipeline(createReadStream(location), async (chunks: AsyncIterable<Buffer>) => {
        for await (const chunk of chunks) {
          gitHash.update(chunk);
          sha.update(chunk);
        }
      });
      hashes = { stamp, oid: gitHash.digest('hex'), sha256: sha.digest('hex') };
      this.#hashes.set(location, hashes);
    }
    if (!LFS_SUFFIX.test(path) && size < LFS_SIZE) return { path, location, size, oid: hashes.oid, lfs: null };

    const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${hashes.sha256}\nsize ${size}\n`;
    const oid = createHash('sha1').update(`blob ${pointer.length}\0${pointer}`).digest('hex');
    return { path, location, size, oid, lfs: { oid: hashes.sha256, size, pointerSize: pointer.length } };
  }
}

async function folders(path: string): Promise<string[]> {
  const names = (await readdir(path)).filter((name) => !name.startsWith('.'));
  const stats = await Promise.all(names.map((name) => statOrNone(join(path, name))));
  return names.filter((_, index) => stats[index]?.isDirectory());
}

/** Files under `folder`, without hidden ones; links are followed, as caches of the Hub are made of them. */
async function listFiles(folder: string, prefix = ''): Promise<string[]> {
  const paths: string[] = [];
  for (const name of (await readdir(join(folder, prefix))).sort()) {
    if (name.startsWith('.') && name !== '.gitattributes') continue;
    const path = prefix === '' ? name : `${prefix}/${name}`;
    const stats = await statOrNone(join(folder, path));
    if (stats?.isDirectory()) paths.push(...(await listFiles(folder, path)));
    else if (stats?.isFile()) paths.push(path);
  }
  return paths.sort();
}

async function statOrNone(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR'))
      return undefined;
    throw error;
  }
}
