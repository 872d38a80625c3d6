import { useCallback } from 'react';
import type { GalleryPicture } from '../../worker/protocol.ts';
import { tinyWidth } from './BlobImage.tsx';

type Pictured = Pick<GalleryPicture, 'png' | 'width' | 'height'>;

/** The longer side that is decoded to: a gallery's card on a dense screen. */
const side = 320;
/** Pictures decoded at a time; more would only hold memory. */
const decoders = 3;

/** Each picture is decoded once, to a small bitmap: hundreds of full ones would fill the memory and stutter while they are scrolled. */
const bitmaps = new WeakMap<Blob, Promise<ImageBitmap>>();
const waiting: (() => void)[] = [];
let decoding = 0;

async function decode({ png, width, height }: Pictured): Promise<ImageBitmap> {
  if (decoding >= decoders) await new Promise<void>((resolve) => waiting.push(resolve));
  decoding += 1;
  try {
    const scale = Math.min(1, side / Math.max(width, height));
    return await createImageBitmap(png, {
      resizeWidth: Math.max(1, Math.round(width * scale)),
      resizeHeight: Math.max(1, Math.round(height * scale)),
      resizeQuality: 'high',
    });
  } finally {
    decoding -= 1;
    waiting.shift()?.();
  }
}

function bitmapOf(picture: Pictured): Promise<ImageBitmap> {
  const known = bitmaps.get(picture.png);
  if (known) return known;
  const bitmap = decode(picture);
  bitmaps.set(picture.png, bitmap);
  return bitmap;
}

interface ThumbnailProps {
  readonly picture: Pictured;
  readonly className?: string;
}

/** A picture, small. It is decoded when it first comes into sight; what it shows must be said beside it. */
export function Thumbnail({ picture, className }: ThumbnailProps) {
  const { png, width, height } = picture;
  const show = useCallback(
    (canvas: HTMLCanvasElement) => {
      let gone = false;
      const observer = new IntersectionObserver((entries) => {
        if (!entries.some(({ isIntersecting }) => isIntersecting)) return;
        observer.disconnect();
        bitmapOf({ png, width, height }).then(
          (bitmap) => {
            if (gone) return;
            [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
            canvas.getContext('2d')?.drawImage(bitmap, 0, 0);
            canvas.dataset['drawn'] = '';
          },
          () => {
            // A picture that cannot be decoded leaves its place empty.
          },
        );
      });
      observer.observe(canvas);
      return () => {
        gone = true;
        observer.disconnect();
      };
    },
    [png, width, height],
  );
  return <canvas ref={show} className={className} data-tiny={width <= tinyWidth ? '' : undefined} aria-hidden="true" />;
}
