/** TAESD's decoder, with which previews of large models are real pictures: whether it is here, and its download, when the person asks. */
import { type PlainError, toPlainError } from '../core/errors.ts';
import { isAborted } from '../worker/client.ts';
import type { SliceContext } from './slice.ts';

/** The author's repository. */
const repository = 'madebyollin/taesd';

export interface PreviewDecoderSlice {
  /** `unknown` until it was asked for. */
  readonly previewDecoder: 'unknown' | 'missing' | 'fetching' | 'stored';
  readonly previewDecoderError: PlainError | null;
  readonly previewDecoderNeeded: () => Promise<void>;
  /** Contacts the Hub. */
  readonly previewDecoderRequested: () => Promise<void>;
  readonly previewDecoderCancelled: () => void;
}

export function createPreviewDecoderSlice({ client, set, get }: SliceContext): PreviewDecoderSlice {
  let controller: AbortController | null = null;
  return {
    previewDecoder: 'unknown',
    previewDecoderError: null,
    previewDecoderNeeded: async () => {
      if (get().previewDecoder !== 'unknown') return;
      const isStored = await client.request('preview.isStored', {}).catch(() => false);
      set({ previewDecoder: isStored ? 'stored' : 'missing' });
    },
    previewDecoderRequested: async () => {
      const { endpoint, accessToken } = get();
      controller = new AbortController();
      set({ previewDecoder: 'fetching', previewDecoderError: null });
      try {
        const request = { id: repository, endpoint, ...(accessToken === '' ? {} : { token: accessToken }) };
        await client.request('preview.fetch', request, { signal: controller.signal });
        set({ previewDecoder: 'stored' });
      } catch (error) {
        set({ previewDecoder: 'missing', ...(isAborted(error) ? {} : { previewDecoderError: toPlainError(error) }) });
      }
    },
    previewDecoderCancelled: () => controller?.abort(),
  };
}
