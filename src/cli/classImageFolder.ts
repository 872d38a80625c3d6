/** Class images of prior preservation, kept in a folder for the next run that wants the same. */
import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RgbImage } from '../core/image.ts';
import { encodePng } from '../formats/png.ts';
import type { ClassImageStore } from '../session/classImages.ts';
import { decodeInNode } from './decodeImage.ts';

/** Files `KEY-0000.png`, where KEY stands for what they were drawn from. */
export function classImageFolder(folder: string): ClassImageStore {
  const file = (key: string, index: number): string => {
    const short = createHash('sha256').update(key).digest('hex').slice(0, 12);
    return join(folder, `${short}-${String(index).padStart(4, '0')}.png`);
  };
  return {
    load: async (key, count) => {
      const images: RgbImage[] = [];
      while (images.length < count) {
        const bytes: Uint8Array | null = await readFile(file(key, images.length)).catch(() => null);
        if (bytes === null) break;
        images.push(await decodeInNode(new Blob([new Uint8Array(bytes)])));
      }
      return images;
    },
    keep: async (key, index, image) => {
      await mkdir(folder, { recursive: true });
      await writeFile(file(key, index), encodePng(image));
    },
  };
}
