/** Folders on disk as FileTrees, for the command line. */
import { open, readdir, stat } from 'node:fs/promises';
import { basename, join, relative, resolve, sep } from 'node:path';
import { LoratoryError } from '../core/errors.ts';
import type { ByteSource, FileTree } from '../core/files.ts';

/** A path on the command line leads nowhere. */
export class FileNotFoundError extends LoratoryError {
  readonly code = 'file-not-found';

  constructor(path: string, what = 'file or folder') {
    super(`There is no ${what} at ${path}.`, 'Check the path.', { path });
  }
}

/** One file on disk, read by ranges. */
export async function fileSource(path: string, name = basename(path)): Promise<ByteSource> {
  let size: number;
  try {
    const found = await stat(path);
    if (!found.isFile()) throw new FileNotFoundError(path, 'file');
    size = found.size;
  } catch (cause) {
    if (cause instanceof LoratoryError) throw cause;
    throw new FileNotFoundError(path, 'file');
  }
  return {
    name,
    size,
    read: async (start, end) => {
      if (start < 0 || end > size || start > end) throw new RangeError(`${name}: bytes ${start} to ${end} of ${size}`);
      const handle = await open(path);
      try {
        const bytes = new Uint8Array(end - start);
        const { bytesRead } = await handle.read(bytes, 0, bytes.length, start);
        if (bytesRead !== bytes.length) throw new RangeError(`${name}: the file became shorter while it was read`);
        return bytes;
      } finally {
        await handle.close();
      }
    },
  };
}

/** A folder on disk with everything below it. Links are followed, so that a cache of links works too. */
export async function folderTree(folder: string, name = basename(resolve(folder))): Promise<FileTree> {
  let entries;
  try {
    entries = await readdir(folder, { recursive: true });
  } catch {
    throw new FileNotFoundError(folder, 'folder');
  }
  const paths: string[] = [];
  for (const entry of entries) {
    const found = await stat(join(folder, entry)).catch(() => null);
    if (found?.isFile()) paths.push(relative(folder, join(folder, entry)).split(sep).join('/'));
  }
  paths.sort();
  const known = new Set(paths);
  return {
    name,
    list: () => paths,
    has: (path) => known.has(path),
    open: async (path) => {
      if (!known.has(path)) throw new FileNotFoundError(join(folder, path), 'file');
      return fileSource(join(folder, path), `${name}/${path}`);
    },
  };
}
