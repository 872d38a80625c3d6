/** The picture that image to image begins with, and the mask that was painted over it. */
import type { InitImage } from '../worker/protocol.ts';
import type { GenerateForm } from './generateForm.ts';

export interface InitPicture {
  readonly name: string;
  readonly image: Blob;
  readonly width: number;
  readonly height: number;
  /** White is drawn again, black stays; as large as the picture. Null: all of it is drawn again. */
  readonly mask: Blob | null;
}

/** The request's part; undefined without a picture. The form must have no errors. */
export function initImageOf(picture: InitPicture | null, form: GenerateForm): InitImage | undefined {
  if (picture === null) return undefined;
  return {
    image: picture.image,
    strength: Number(form.strength),
    resizeMode: form.resizeMode,
    ...(picture.mask === null ? {} : { mask: picture.mask, maskBlur: Number(form.maskBlur) }),
  };
}

/** Reads a picture's size. Rejects if the browser cannot decode it. */
export async function openInitPicture(image: Blob, name: string): Promise<InitPicture> {
  const bitmap = await createImageBitmap(image);
  const { width, height } = bitmap;
  bitmap.close();
  return { name, image, width, height, mask: null };
}
