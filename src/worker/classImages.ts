/** Class images in this browser's storage, as the session asks for them. */
import { encodePng } from '../formats/png.ts';
import type { ClassImageStore as SessionStore } from '../session/classImages.ts';
import { ClassImageStore } from '../storage/classImageStore.ts';
import { decodeInBrowser } from './decodeImage.ts';

export function browserClassImages(store = new ClassImageStore()): SessionStore {
  return {
    load: async (key, count) => Promise.all((await store.load(key, count)).map((picture) => decodeInBrowser(picture))),
    keep: (key, index, image) => store.keep(key, index, new Blob([encodePng(image)], { type: 'image/png' })),
  };
}
