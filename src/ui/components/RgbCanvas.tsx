import { useEffect, useRef } from 'react';
import type { RgbImage } from '../../core/image.ts';

/** An {@link RgbImage} on a canvas of its own size; CSS scales it up smoothly. */
export function RgbCanvas({ image, label }: { readonly image: RgbImage; readonly label: string }) {
  const ref = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const context = ref.current?.getContext('2d');
    if (context === null || context === undefined) return;
    const { width, height, data } = image;
    const pixels = context.createImageData(width, height);
    for (let i = 0, j = 0; i < data.length; i += 3, j += 4) {
      pixels.data[j] = data[i] ?? 0;
      pixels.data[j + 1] = data[i + 1] ?? 0;
      pixels.data[j + 2] = data[i + 2] ?? 0;
      pixels.data[j + 3] = 255;
    }
    context.putImageData(pixels, 0, 0);
  }, [image]);
  // oxlint-disable-next-line jsx-a11y/prefer-tag-over-role -- pixels from memory need a canvas, not an img
  return <canvas ref={ref} className="rgb" width={image.width} height={image.height} role="img" aria-label={label} />;
}
