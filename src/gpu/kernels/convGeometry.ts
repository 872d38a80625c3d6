/** How a square convolution lies on its input: shared by the frozen convolution and the LoRA branches beside it. */

/** Pixels at the edges that count as zero. */
export type Padding = readonly [top: number, left: number, bottom: number, right: number];

export type Image = readonly [images: number, height: number, width: number, channels: number];

export interface Geometry {
  readonly input: Image;
  readonly output: Image;
  readonly kernelSize: number;
  readonly stride: number;
  readonly padding: Padding;
}

/** Calls `visit` for each pixel of the output and each tap that falls inside the input. */
export function forEachTap(
  { input, output, kernelSize, stride, padding }: Geometry,
  visit: (inPixel: number, outPixel: number, tap: number) => void,
): void {
  const [images, inHeight, inWidth] = input;
  const [, outHeight, outWidth] = output;
  for (let outPixel = 0; outPixel < images * outHeight * outWidth; outPixel++) {
    const image = Math.floor(outPixel / (outHeight * outWidth));
    const [outY, outX] = [Math.floor(outPixel / outWidth) % outHeight, outPixel % outWidth];
    for (let tap = 0; tap < kernelSize * kernelSize; tap++) {
      const y = outY * stride - padding[0] + Math.floor(tap / kernelSize);
      const x = outX * stride - padding[1] + (tap % kernelSize);
      if (y >= 0 && y < inHeight && x >= 0 && x < inWidth) visit((image * inHeight + y) * inWidth + x, outPixel, tap);
    }
  }
}
