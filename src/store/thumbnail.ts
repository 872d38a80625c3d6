/** A picture as ModelSpec wants thumbnails in a header: a small JPEG as a data URL. */

const side = 256;

/** Cropped to a square of at most 256 px. Rejects what the browser cannot decode. */
export async function thumbnailUrl(picture: Blob): Promise<string> {
  const bitmap = await createImageBitmap(picture);
  const crop = Math.min(bitmap.width, bitmap.height);
  const size = Math.min(side, crop);
  const canvas = new OffscreenCanvas(size, size);
  const context = canvas.getContext('2d');
  if (!context) throw new Error('OffscreenCanvas gave no 2d context');
  context.imageSmoothingQuality = 'high';
  context.drawImage(bitmap, (bitmap.width - crop) / 2, (bitmap.height - crop) / 2, crop, crop, 0, 0, size, size);
  bitmap.close();
  const jpeg = await canvas.convertToBlob({ type: 'image/jpeg', quality: 0.85 });
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result as string);
    reader.onerror = () => reject(reader.error ?? new Error('The thumbnail could not be read.'));
    reader.readAsDataURL(jpeg);
  });
}
