/** A mask while it is painted: a canvas that is opaque where the picture is to be learned. */
import { invariant } from '../../../core/invariant.ts';

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** Longer side of a mask, in pixels. */
const [leastSide, mostSide] = [512, 1024];
/** States that can be gone back to. */
const maxUndos = 30;

function context2d(canvas: HTMLCanvasElement): CanvasRenderingContext2D {
  const context = canvas.getContext('2d', { willReadFrequently: true });
  invariant(context !== null, 'A canvas gives a 2d context');
  return context;
}

export class MaskCanvas {
  readonly canvas: HTMLCanvasElement;
  readonly #context: CanvasRenderingContext2D;
  readonly #undos: { readonly pixels: ImageData; readonly isWhole: boolean }[] = [];
  /** Nothing is left out: the next stroke of the brush begins a mask that has only what it paints. */
  #isWhole = true;

  constructor(image: { readonly width: number; readonly height: number }) {
    const longer = Math.max(image.width, image.height);
    const scale = Math.min(Math.max(longer, leastSide), mostSide) / longer;
    this.canvas = document.createElement('canvas');
    this.canvas.width = Math.max(1, Math.round(image.width * scale));
    this.canvas.height = Math.max(1, Math.round(image.height * scale));
    this.#context = context2d(this.canvas);
    this.#fill();
  }

  get isWhole(): boolean {
    return this.#isWhole;
  }

  get canUndo(): boolean {
    return this.#undos.length > 0;
  }

  /** Begins with a stored mask: white is learned. */
  async load(mask: Blob): Promise<void> {
    const bitmap = await createImageBitmap(mask);
    const { width, height } = this.canvas;
    this.#context.globalCompositeOperation = 'copy';
    this.#context.drawImage(bitmap, 0, 0, width, height);
    bitmap.close();
    const pixels = this.#context.getImageData(0, 0, width, height);
    for (let at = 0; at < pixels.data.length; at += 4) {
      pixels.data[at + 3] = (pixels.data[at]! + pixels.data[at + 1]! + pixels.data[at + 2]!) / 3;
      pixels.data.fill(255, at, at + 3);
    }
    this.#context.putImageData(pixels, 0, 0);
    this.#isWhole = false;
  }

  /** Call before a stroke: it is undone as one. */
  beginStroke(mode: 'paint' | 'erase'): void {
    this.#remember();
    if (this.#isWhole && mode === 'paint') this.#context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    this.#isWhole = false;
  }

  /** A line with round ends; a dot where both are alike. Coordinates and width in the canvas' pixels. */
  stroke(from: Point, to: Point, width: number, mode: 'paint' | 'erase'): void {
    const context = this.#context;
    context.globalCompositeOperation = mode === 'paint' ? 'source-over' : 'destination-out';
    context.strokeStyle = '#fff';
    context.lineCap = 'round';
    context.lineWidth = width;
    context.beginPath();
    context.moveTo(from.x, from.y);
    context.lineTo(to.x, to.y);
    context.stroke();
  }

  invert(): void {
    this.#remember();
    this.#context.globalCompositeOperation = 'source-out';
    this.#context.fillStyle = '#fff';
    this.#context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    this.#isWhole = false;
  }

  /** No mask any more: all is learned. */
  clear(): void {
    this.#remember();
    this.#fill();
  }

  undo(): void {
    const last = this.#undos.pop();
    if (last === undefined) return;
    this.#context.putImageData(last.pixels, 0, 0);
    this.#isWhole = last.isWhole;
  }

  /** As it is stored, white on black; null if nothing is left out, or nothing is left. */
  async toBlob(): Promise<Blob | null> {
    const { width, height } = this.canvas;
    const { data } = this.#context.getImageData(0, 0, width, height);
    let [least, most] = [255, 0];
    for (let at = 3; at < data.length; at += 4) {
      least = Math.min(least, data[at]!);
      most = Math.max(most, data[at]!);
    }
    if (least === 255 || most === 0) return null;
    const flat = document.createElement('canvas');
    flat.width = width;
    flat.height = height;
    const context = context2d(flat);
    context.fillStyle = '#000';
    context.fillRect(0, 0, width, height);
    context.drawImage(this.canvas, 0, 0);
    return new Promise((resolve) => flat.toBlob(resolve, 'image/png'));
  }

  /** Paints onto `target`, of the same size, a veil over what is not learned. */
  drawVeil(target: HTMLCanvasElement, colour: string): void {
    const context = target.getContext('2d');
    if (!context) return;
    const { width, height } = this.canvas;
    context.globalCompositeOperation = 'copy';
    context.fillStyle = colour;
    context.fillRect(0, 0, width, height);
    context.globalCompositeOperation = 'destination-out';
    context.drawImage(this.canvas, 0, 0);
  }

  #fill(): void {
    this.#context.globalCompositeOperation = 'source-over';
    this.#context.fillStyle = '#fff';
    this.#context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    this.#isWhole = true;
  }

  #remember(): void {
    const pixels = this.#context.getImageData(0, 0, this.canvas.width, this.canvas.height);
    this.#undos.push({ pixels, isWhole: this.#isWhole });
    if (this.#undos.length > maxUndos) this.#undos.shift();
  }
}
