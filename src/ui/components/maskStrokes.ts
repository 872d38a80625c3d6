/** A mask as the strokes that painted it, so that any of them can be undone. Coordinates are pixels of the picture. */

export interface MaskStroke {
  readonly erases: boolean;
  /** Diameter of the brush. */
  readonly size: number;
  readonly points: readonly (readonly [x: number, y: number])[];
}

type Context = CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D;

/** Paints a stroke onto a transparent canvas, or takes it away from there. */
export function paintStroke(context: Context, { erases, size, points }: MaskStroke, colour: string): void {
  const [first] = points;
  if (first === undefined) return;
  context.save();
  context.globalCompositeOperation = erases ? 'destination-out' : 'source-over';
  context.strokeStyle = colour;
  context.lineWidth = size;
  context.lineCap = 'round';
  context.lineJoin = 'round';
  // A line without length is not drawn, so that a single dot needs a disc of its own.
  context.fillStyle = colour;
  context.beginPath();
  context.arc(...first, size / 2, 0, 2 * Math.PI);
  context.fill();
  context.beginPath();
  context.moveTo(...first);
  for (const point of points.slice(1)) context.lineTo(...point);
  context.stroke();
  context.restore();
}

/** A transparent canvas with `base` (white where it is white) and the strokes on it. */
export function paintMask(
  width: number,
  height: number,
  base: ImageBitmap | null,
  strokes: readonly MaskStroke[],
): OffscreenCanvas {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d', { willReadFrequently: true });
  if (!context) throw new Error('OffscreenCanvas gave no 2d context');
  if (base !== null) {
    context.drawImage(base, 0, 0, width, height);
    const pixels = context.getImageData(0, 0, width, height);
    // Its brightness becomes its opacity: black is no mask.
    for (let i = 0; i < pixels.data.length; i += 4) {
      pixels.data[i + 3] = pixels.data[i] ?? 0;
      pixels.data.fill(255, i, i + 3);
    }
    context.putImageData(pixels, 0, 0);
  }
  for (const stroke of strokes) paintStroke(context, stroke, '#fff');
  return canvas;
}

/** The mask as a PNG, white on black; null if nothing is painted. `inverted`: black on white. */
export async function maskBlob(painted: OffscreenCanvas, inverted = false): Promise<Blob | null> {
  const { width, height } = painted;
  const pixels = painted.getContext('2d')?.getImageData(0, 0, width, height).data ?? new Uint8ClampedArray();
  let any = false;
  for (let i = 3; i < pixels.length && !any; i += 4) any = inverted ? pixels[i] !== 255 : pixels[i] !== 0;
  if (!any) return null;
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d');
  if (!context) throw new Error('OffscreenCanvas gave no 2d context');
  context.fillStyle = inverted ? '#fff' : '#000';
  context.fillRect(0, 0, width, height);
  if (inverted) context.filter = 'invert(1)';
  context.drawImage(painted, 0, 0);
  return canvas.convertToBlob({ type: 'image/png' });
}
