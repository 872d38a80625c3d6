/** The gallery, and settings read back from pictures. */
import { likenessOf } from '../evaluation/imageMetrics.ts';
import { parseParameters } from '../formats/pngParameters.ts';
import { readPictureParameters } from '../formats/pictureText.ts';
import { ignoredSettings } from '../session/ignoredSettings.ts';
import { settingsOfPicture } from '../session/parameters.ts';
import type { PictureStore } from '../storage/pictureStore.ts';
import { webpBlob } from './pictures.ts';
import { decodeInBrowser } from './decodeImage.ts';
import type { PictureRequests, RestoredSettings } from './protocol.ts';
import type { Handlers } from './server.ts';

export function pictureHandlers(pictures: PictureStore): Pick<Handlers, keyof PictureRequests> {
  return {
    'pictures.list': () => pictures.list(),
    'pictures.add': (picture) => pictures.add(picture),
    'pictures.remove': async ({ ids }) => {
      await pictures.remove(ids);
      return null;
    },
    'pictures.restore': ({ ids }) => pictures.restore(ids),
    'pictures.likeness': async ({ first, second }) =>
      likenessOf(await decodeInBrowser(first), await decodeInBrowser(second)),
    'pictures.webp': ({ png, parameters }) => webpBlob(png, parameters),
    'pictures.settings': async (from) => {
      if ('text' in from) return restored(from.text);
      const bytes = new Uint8Array(await from.file.arrayBuffer());
      const parameters = readPictureParameters(bytes, from.file.name);
      return parameters === null ? null : restored(parameters);
    },
  };
}

/** Null for text that holds no settings: a prompt alone is no picture's parameters. */
function restored(text: string): RestoredSettings | null {
  const parsed = parseParameters(text);
  if (parsed.settings.length === 0) return null;
  return { settings: settingsOfPicture(parsed), parameters: text, ignored: ignoredSettings(parsed) };
}
