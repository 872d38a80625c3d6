import { toPlainError } from '../core/errors.ts';
import { decodeImageFile } from '../dataset/accept.ts';
import type { DatasetStore } from '../storage/datasetStore.ts';
import { decodeInBrowser, thumbnailOf } from './decodeImage.ts';
import type { AddImagesResult, DatasetImage } from './protocol.ts';
import type { RequestContext } from './server.ts';

/** Takes dropped files into the dataset; each that cannot be is named with its error, and the others are taken. */
export async function addImages(
  dataset: DatasetStore,
  files: readonly File[],
  captions: Readonly<Record<string, string>>,
  { signal, emit }: RequestContext,
): Promise<AddImagesResult> {
  const added: DatasetImage[] = [];
  const refused: { fileName: string; error: ReturnType<typeof toPlainError> }[] = [];
  for (const [done, file] of files.entries()) {
    signal.throwIfAborted();
    emit('dataset.progress', { done, total: files.length });
    try {
      const image = await decodeImageFile(file, file.name, decodeInBrowser);
      const stem = file.name.replace(/\.[^.]*$/, '');
      added.push(
        ...(await dataset.add([
          {
            fileName: file.name,
            width: image.width,
            height: image.height,
            caption: captions[stem] ?? '',
            original: file,
            thumbnail: await thumbnailOf(image),
          },
        ])),
      );
    } catch (error) {
      refused.push({ fileName: file.name, error: toPlainError(error) });
    }
  }
  emit('dataset.progress', { done: files.length, total: files.length });
  return { added, refused };
}
