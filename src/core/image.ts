/** An 8-bit RGB picture, row-major, 3 bytes a pixel, no padding. */
export interface RgbImage {
  readonly width: number;
  readonly height: number;
  /** height * width * 3 bytes. */
  readonly data: Uint8Array<ArrayBuffer>;
}
