/** What a training needs before its first step: captions and prompts as embeddings, pictures as latents. CLIP and the VAE are freed again. */
import { captionWithTrigger } from '../core/captions.ts';
import type { RgbImage } from '../core/image.ts';
import { defined } from '../core/invariant.ts';
import { centerCrop, resizeShorterSide } from '../dataset/preprocess.ts';
import { trimMemory } from '../gpu/ops.ts';
import { cacheLatents, type CachedLatents } from '../latents/cache.ts';
import { encodePrompts, type PromptEmbedding } from '../latents/embeddings.ts';
import { fitPreview, type LatentPreview } from '../latents/preview.ts';
import type { TrainingExample } from '../trainer/batch.ts';
import type { TrainingRequest } from './training.ts';

export interface Prepared {
  /** By the index of the image. */
  readonly examples: readonly TrainingExample[];
  /** Of captions, sample prompts and the empty prompt. */
  readonly embeddings: ReadonlyMap<string, PromptEmbedding>;
  readonly preview: LatentPreview;
}

interface Progress {
  readonly signal: AbortSignal;
  /** What is being done, in words; 0..1. */
  readonly onStatus: (detail: string, progress: number) => void;
}

export async function prepare(request: TrainingRequest, progress: Progress): Promise<Prepared> {
  const { model, images, triggerWord, options } = request;
  const { signal, onStatus } = progress;
  const captions = images.map((image) => captionWithTrigger(triggerWord, image.caption));
  const prompts = [...captions, ...options.samplePrompts.map((sample) => sample.prompt), ''];

  onStatus('Loading the text encoder', 0);
  const textEncoder = await model.loadTextEncoder((done) => onStatus('Loading the text encoder', done));
  const embeddings = await encodePrompts(textEncoder, model.tokenizer, prompts, {
    signal,
    onProgress: (done, total) => onStatus(`Reading caption ${done} of ${total}`, done / total),
  });
  textEncoder.dispose();
  trimMemory();

  const { latents, preview } = await prepareLatents(request, progress);
  const examples = latents.map((cached, i) => ({
    latents: cached,
    embedding: defined(embeddings.get(captions[i]!)),
  }));
  return { examples, embeddings, preview };
}

async function prepareLatents(
  { model, images, options }: TrainingRequest,
  { signal, onStatus }: Progress,
): Promise<{ latents: CachedLatents[]; preview: LatentPreview }> {
  onStatus('Loading the image encoder', 0);
  const vae = await model.loadVae({ encoder: true, decoder: false }, (done) =>
    onStatus('Loading the image encoder', done),
  );
  try {
    const pairs: { image: RgbImage; latents: CachedLatents }[] = [];
    for (const [i, source] of images.entries()) {
      signal.throwIfAborted();
      onStatus(`Encoding image ${i + 1} of ${images.length}`, i / images.length);
      const image = centerCrop(resizeShorterSide(await source.pixels(), options.resolution), options.resolution);
      pairs.push({ image, latents: await cacheLatents(vae, image, { flip: options.flipProbability > 0 }) });
    }
    const preview = fitPreview(pairs, model.vaeConfig.scalingFactor);
    return { latents: pairs.map((pair) => pair.latents), preview };
  } finally {
    vae.dispose();
    trimMemory();
  }
}
