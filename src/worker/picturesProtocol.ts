/** What the page and the worker say about finished pictures. Part of protocol.ts: plain data, nothing here runs. */
import type { GenerateRequest, PictureSettings } from './generateProtocol.ts';

/** A picture of the gallery. */
export interface GalleryPicture {
  readonly id: string;
  /** With its `parameters`, as it is saved. */
  readonly png: Blob;
  readonly width: number;
  readonly height: number;
  /** Milliseconds since 1970. */
  readonly savedAt: number;
  /** How long it took to draw. */
  readonly milliseconds: number;
  /** True of what an interrupted walk had come to. */
  readonly isPartial: boolean;
  /** The text of the PNG's `parameters`, in A1111's form. */
  readonly parameters: string;
  /** What the request's LoRAs were called, in their order. */
  readonly loraNames: readonly string[];
  /** As it was asked for, with its own seed, but for pictures that it began with: these are not kept. */
  readonly request: Omit<GenerateRequest, 'initImage'>;
  /** Whether it began with a picture, which is not kept. */
  readonly fromPicture?: boolean;
  /** Of an X/Y/Z plot: which settings its axes change. Its request is what its cells have in common. */
  readonly plot?: readonly string[];
}

export type NewGalleryPicture = Omit<GalleryPicture, 'id'>;

/** What a picture's parameters gave back, and what of them has no place here. */
export interface RestoredSettings {
  readonly settings: PictureSettings;
  /** The text itself. */
  readonly parameters: string;
  /** Settings that other tools wrote and that are unknown here, as they were written. */
  readonly ignored: readonly (readonly [name: string, value: string])[];
}

/** How alike two pictures are: see evaluation/imageMetrics.ts. */
export interface Likeness {
  /** Decibels; infinite for equal pictures. */
  readonly psnr: number;
  /** 1 for equal pictures. */
  readonly ssim: number;
}

export interface PictureRequests {
  'pictures.list': [Record<string, never>, readonly GalleryPicture[]];
  'pictures.add': [NewGalleryPicture, GalleryPicture];
  'pictures.remove': [{ readonly ids: readonly string[] }, null];
  /** Undo of `pictures.remove`, for a day. */
  'pictures.restore': [{ readonly ids: readonly string[] }, readonly GalleryPicture[]];
  /** Null for pictures of different sizes. */
  'pictures.likeness': [{ readonly first: Blob; readonly second: Blob }, Likeness | null];
  /** The picture as WebP, with its parameters in it. */
  'pictures.webp': [Pick<GalleryPicture, 'png' | 'parameters'>, Blob];
  /** What a picture's `parameters` (PNG, WebP, JPEG), or such a text by itself, say; null where there is none. */
  'pictures.settings': [{ readonly file: File } | { readonly text: string }, RestoredSettings | null];
}
