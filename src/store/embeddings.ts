/** Textual-inversion embeddings: words that files teach the text encoder. Any prompt may name them. */
import type { LibraryEmbedding } from '../worker/protocol.ts';
import { reportError, type SliceContext } from './slice.ts';

export interface EmbeddingsSlice {
  /** The latest first. */
  readonly embeddings: readonly LibraryEmbedding[];
  readonly embeddingsRefreshed: () => Promise<void>;
  readonly embeddingFilesDropped: (files: readonly File[]) => Promise<void>;
  readonly embeddingRemoved: (id: string) => Promise<void>;
}

export function createEmbeddingsSlice(context: SliceContext): EmbeddingsSlice {
  const { client, set, get } = context;
  return {
    embeddings: [],
    embeddingsRefreshed: async () => {
      try {
        set({ embeddings: await client.request('embeddings.list', {}) });
      } catch (error) {
        reportError(context, 'The embeddings could not be read', error);
      }
    },
    embeddingFilesDropped: async (files) => {
      try {
        const { refused } = await client.request('embeddings.add', { files });
        for (const { error } of refused)
          get().toastShown({
            kind: 'error',
            title: 'A file was not taken',
            detail: `${error.message} ${error.remedy}`,
          });
      } catch (error) {
        reportError(context, 'The embedding could not be added', error);
      }
      await get().embeddingsRefreshed();
    },
    embeddingRemoved: async (id) => {
      const embedding = get().embeddings.find((one) => one.id === id);
      set(({ embeddings }) => ({ embeddings: embeddings.filter((one) => one.id !== id) }));
      try {
        await client.request('embeddings.remove', { ids: [id] });
        get().toastShown({
          kind: 'info',
          title: `“${embedding?.fileName ?? 'The embedding'}” removed from this browser`,
          action: {
            label: 'Undo',
            run: () => {
              client
                .request('embeddings.restore', { ids: [id] })
                .catch((error: unknown) => reportError(context, 'It could not be brought back', error))
                .finally(() => void get().embeddingsRefreshed());
            },
          },
        });
      } catch (error) {
        reportError(context, 'The embedding could not be removed', error);
        await get().embeddingsRefreshed();
      }
    },
  };
}
