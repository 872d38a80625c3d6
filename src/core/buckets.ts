/**
 * Aspect-ratio buckets: which size a picture is trained at, and which part of it.
 *
 * With buckets a picture keeps its proportions: it is trained at the size, of about resolution x resolution pixels, whose aspect ratio is
 * nearest to its own. Sizes and choice are those of kohya's sd-scripts (make_bucket_resolutions, BucketManager.select_bucket). Without
 * buckets every picture is cropped to a square, as torchvision's Resize and CenterCrop do it for diffusers' scripts.
 */
import { invariant } from './invariant.ts';

/** In pixels. */
export interface Size {
  readonly width: number;
  readonly height: number;
}

/** What the size depends on: a part of TrainOptions. */
export interface SizeOptions {
  /** Side of the square whose area buckets have, in pixels. */
  readonly resolution: number;
  readonly buckets: {
    /** False: one bucket, the square. */
    readonly enabled: boolean;
    /** Shortest and longest side of a bucket, in pixels. */
    readonly minSide: number;
    readonly maxSide: number;
    /** Sides of buckets are multiples of this. */
    readonly step: number;
    /** Pictures are never enlarged: small ones get small buckets of their own. */
    readonly noUpscale: boolean;
  };
}

/** What part of a picture is trained on. */
export interface CropChoice {
  /** The crop's centre, as fractions of the picture's width and height. */
  readonly x: number;
  readonly y: number;
  /** 1: as much of the picture as its bucket's shape allows; 2: half as wide and high. At most {@link maxZoom}. */
  readonly zoom: number;
}

export const maxZoom = 8;
export const centreCrop: CropChoice = { x: 0.5, y: 0.5, zoom: 1 };

/** A picture is resized to `resized`, then `bucket` pixels from (left, top) on are cut out of that. */
export interface Placement {
  readonly bucket: Size;
  readonly resized: Size;
  readonly left: number;
  readonly top: number;
}

/** Bucket sides that suit a resolution: steps of 64 pixels (less for small models), from half of the resolution to twice. */
export function bucketSidesFor(
  resolution: number,
  sizeUnit: number,
): Pick<SizeOptions['buckets'], 'step' | 'minSide' | 'maxSide'> {
  const step = Math.min(64, Math.max(sizeUnit, Math.floor(resolution / 8 / sizeUnit) * sizeUnit));
  const toStep = (pixels: number): number => Math.max(step, Math.floor(pixels / step) * step);
  return { step, minSide: toStep(resolution / 2), maxSide: toStep(resolution * 2) };
}

const sizesOf = new WeakMap<SizeOptions, readonly Size[]>();

/** All buckets, by width, then height. Without buckets: the square. */
export function bucketSizes(options: SizeOptions): readonly Size[] {
  // Asked for image by image, with the same options.
  const known = sizesOf.get(options) ?? computeBucketSizes(options);
  sizesOf.set(options, known);
  return known;
}

function computeBucketSizes({ resolution, buckets: { enabled, step, minSide, maxSide } }: SizeOptions): Size[] {
  if (!enabled) return [{ width: resolution, height: resolution }];
  const toStep = (pixels: number): number => Math.floor(pixels / step) * step;
  const sizes = new Map<string, Size>();
  const add = (width: number, height: number): void => void sizes.set(bucketName({ width, height }), { width, height });
  add(toStep(resolution), toStep(resolution));
  for (let width = minSide; width <= maxSide; width += step) {
    const height = Math.min(maxSide, toStep(Math.floor(resolution ** 2 / width)));
    if (height < minSide) continue;
    add(width, height);
    add(height, width);
  }
  return [...sizes.values()].sort((a, b) => a.width - b.width || a.height - b.height);
}

/** `512x448`: width, height. */
export function bucketName({ width, height }: Size): string {
  return `${width}x${height}`;
}

/** Kohya's rounding to the nearest integer. */
const rounded = (value: number): number => Math.floor(value + 0.5);

/** The bucket of a picture, and the size that it is resized to so that it covers the bucket. */
export function bucketOf(image: Size, options: SizeOptions): Pick<Placement, 'bucket' | 'resized'> {
  if (!options.buckets.enabled) return square(image, options.resolution);
  const fit = options.buckets.noUpscale ? shrunkToFit(image, options) : nearestAspect(image, options);
  const { bucket, resized } = fit;
  // Rounding must not leave the picture a pixel short of its bucket.
  return {
    bucket,
    resized: { width: Math.max(resized.width, bucket.width), height: Math.max(resized.height, bucket.height) },
  };
}

/** torchvision's Resize: the shorter side to the resolution, the longer one rounded down. */
function square({ width, height }: Size, resolution: number): Pick<Placement, 'bucket' | 'resized'> {
  const long = Math.trunc((resolution * Math.max(width, height)) / Math.min(width, height));
  return {
    bucket: { width: resolution, height: resolution },
    resized: width <= height ? { width: resolution, height: long } : { width: long, height: resolution },
  };
}

function nearestAspect(image: Size, options: SizeOptions): Pick<Placement, 'bucket' | 'resized'> {
  const sizes = bucketSizes(options);
  const aspect = image.width / image.height;
  const error = (size: Size): number => Math.abs(size.width / size.height - aspect);
  const bucket =
    sizes.find(({ width, height }) => width === image.width && height === image.height) ??
    sizes.reduce((best, size) => (error(size) < error(best) ? size : best));
  const scale = aspect > bucket.width / bucket.height ? bucket.height / image.height : bucket.width / image.width;
  return { bucket, resized: { width: rounded(image.width * scale), height: rounded(image.height * scale) } };
}

function shrunkToFit(image: Size, options: SizeOptions): Pick<Placement, 'bucket' | 'resized'> {
  const { resolution, buckets } = options;
  const { step, maxSide } = buckets;
  const down = (pixels: number): number => pixels - (pixels % step);
  const resized = image.width * image.height > resolution ** 2 ? shrunk(image, options) : image;
  const bucket = { width: down(resized.width), height: down(resized.height) };
  if (bucket.width > 0 && bucket.height > 0) return { bucket, resized };
  // Smaller than the smallest bucket: no way but to enlarge.
  const scale = Math.max(step / resized.width, step / resized.height);
  const enlarged = { width: rounded(resized.width * scale), height: rounded(resized.height * scale) };
  return {
    bucket: {
      width: Math.min(maxSide, Math.max(step, down(enlarged.width))),
      height: Math.min(maxSide, Math.max(step, down(enlarged.height))),
    },
    resized: enlarged,
  };
}

/** Shrinks to about the resolution's area, one side to a multiple of the step: the side that keeps the proportions better. */
function shrunk(image: Size, { resolution, buckets: { step } }: SizeOptions): Size {
  const aspect = image.width / image.height;
  const toStep = (pixels: number): number => rounded(pixels) - (rounded(pixels) % step);
  const width = Math.sqrt(resolution ** 2 * aspect);
  const height = resolution ** 2 / width;
  const byWidth = { width: toStep(width), height: toStep(toStep(width) / aspect) };
  const byHeight = { width: toStep(toStep(height) * aspect), height: toStep(height) };
  // Longer than any bucket: what is left of the short side is less than a step.
  if (byWidth.width * byWidth.height === 0 && byHeight.width * byHeight.height === 0)
    return { width: Math.max(1, rounded(width)), height: Math.max(1, rounded(height)) };
  const error = (size: Size): number => (size.height === 0 ? Infinity : Math.abs(size.width / size.height - aspect));
  return error(byWidth) < error(byHeight)
    ? { width: byWidth.width, height: rounded(byWidth.width / aspect) }
    : { width: rounded(byHeight.height * aspect), height: byHeight.height };
}

/** Half of an even or odd difference, to the even neighbour where it falls between two (Python's round, as torchvision's CenterCrop). */
export function roundedHalf(difference: number): number {
  const half = Math.floor(difference / 2);
  return difference % 2 === 0 || half % 2 === 0 ? half : half + 1;
}

/** Where a picture's crop lies. `crop` null is the centre, as kohya's and diffusers' scripts cut it to the pixel. */
export function placeImage(image: Size, options: SizeOptions, crop: CropChoice | null): Placement {
  const { bucket, resized } = bucketOf(image, options);
  if (crop === null) {
    const half = options.buckets.enabled ? (difference: number) => Math.floor(difference / 2) : roundedHalf;
    return {
      bucket,
      resized,
      left: half(resized.width - bucket.width),
      top: half(resized.height - bucket.height),
    };
  }
  invariant(crop.zoom >= 1 && crop.zoom <= maxZoom, 'A crop lies within its picture', { ...crop });
  const zoomed = { width: rounded(resized.width * crop.zoom), height: rounded(resized.height * crop.zoom) };
  const from = (centre: number, whole: number, part: number): number =>
    Math.min(Math.max(rounded(centre * whole - part / 2), 0), whole - part);
  return {
    bucket,
    resized: zoomed,
    left: from(crop.x, zoomed.width, bucket.width),
    top: from(crop.y, zoomed.height, bucket.height),
  };
}

/** The same bucket cut elsewhere: `x` and `y` in [0, 1) choose among all places where it fits (kohya's random_crop). */
export function moveCrop(placement: Placement, x: number, y: number): Placement {
  const { bucket, resized } = placement;
  return {
    ...placement,
    left: Math.floor(x * (resized.width - bucket.width + 1)),
    top: Math.floor(y * (resized.height - bucket.height + 1)),
  };
}

/** The crop as fractions of the picture: for drawing it. */
export function cropFractions({ bucket, resized, left, top }: Placement): {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
} {
  return {
    left: left / resized.width,
    top: top / resized.height,
    width: bucket.width / resized.width,
    height: bucket.height / resized.height,
  };
}

export interface BucketCount {
  readonly bucket: Size;
  readonly count: number;
}

/** How many pictures fall into which bucket; the fullest first. */
export function countBuckets(images: readonly Size[], options: SizeOptions): BucketCount[] {
  const counts = new Map<string, { bucket: Size; count: number }>();
  for (const image of images) {
    const { bucket } = bucketOf(image, options);
    const known = counts.get(bucketName(bucket));
    if (known) known.count++;
    else counts.set(bucketName(bucket), { bucket, count: 1 });
  }
  return [...counts.values()].sort((a, b) => b.count - a.count || b.bucket.width - a.bucket.width);
}
