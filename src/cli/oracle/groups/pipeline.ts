/** From a prompt (and a picture) to a picture. */
import { defined } from '../../../core/invariant.ts';
import { toModelRange } from '../../../dataset/preprocess.ts';
import { sampleLatents } from '../../../latents/cache.ts';
import { encodePrompts } from '../../../latents/embeddings.ts';
import { denoise } from '../../../sampler/denoise.ts';
import { startFromLatents, startIndex } from '../../../sampler/imageToImage.ts';
import { decodeLatents } from '../../../sampler/image.ts';
import type { Scheduler } from '../../../schedulers/types.ts';
import { toNchw, toNhwc } from '../check.ts';
import { schedulerOf } from './schedulers.ts';
import { drawsOf, nhwcShape, rgb, undrawn } from './support.ts';
import type { Replay } from './types.ts';

export async function replayPipeline(replay: Replay): Promise<boolean> {
  const { models, oracleCase, check, input } = replay;
  const scheduler = await schedulerOf(replay, 'scheduler');
  if (!scheduler) return false;
  const { params } = oracleCase;
  const model = await models.model();
  const vae = await models.vae();
  const prompt = String(params['prompt']);
  const negative = typeof params['negative_prompt'] === 'string' ? params['negative_prompt'] : '';
  const embeddings = await encodePrompts(await models.textEncoder(), model.tokenizer, [prompt, negative]);
  const steps: Float32Array[] = [];
  const shape = check.hasRole('latents')
    ? nhwcShape((await input('latents')).shape)
    : nhwcShape((await input('noise')).shape);
  const initial = check.hasRole('latents') ? toNhwc(await input('latents')) : null;
  // The noise of image to image is its start's; of text to image its steps', where a stochastic scheduler draws it.
  const later = initial && check.hasRole('noise') ? drawsOf(await input('noise'), toNhwc) : undrawn;
  let begun = initial === null;
  const latents = await denoise({
    unet: await models.unet(),
    scheduler,
    noise: () => {
      if (begun || !initial) return later();
      begun = true;
      return initial;
    },
    ...(initial ? {} : { start: await imageToImageStart(replay, scheduler) }),
    shape,
    promptEmbeds: defined(embeddings.get(prompt)),
    negativePromptEmbeds: defined(embeddings.get(negative)),
    guidanceScale: Number(params['guidance_scale']),
    onStep: (_step, values) => void steps.push(toNchw(values, [1, ...shape])),
  });
  if (check.hasRole('step_latents'))
    await check.compare(
      'step_latents',
      steps.flatMap((values) => Array.from(values)),
    );
  await check.compare('final_latents', toNchw(latents, [1, ...shape]));
  const image = await decodeLatents(vae, latents, shape);
  await check.compare('image_u8_hwc', image.data);
  if (check.hasRole('image')) {
    const decoded = await vae.decode(
      latents.map((value) => value / vae.config.scalingFactor),
      [1, shape[0], shape[1]],
    );
    const clamped = decoded.map((value) => Math.min(1, Math.max(0, value / 2 + 0.5)));
    await check.compare('image', toNchw(clamped, [1, image.height, image.width, 3]));
  }
  return true;
}

async function imageToImageStart(
  { models, oracleCase, input }: Replay,
  scheduler: Scheduler,
): Promise<{ latents: Float32Array; from: number }> {
  const vae = await models.vae();
  const image = rgb(await input('input_image_u8_hwc'));
  const moments = await vae.encode(toModelRange(image), [1, image.height, image.width]);
  const clean = sampleLatents(moments, toNhwc(await input('posterior_noise')), vae.config.scalingFactor);
  const { num_inference_steps: steps, strength } = oracleCase.params;
  const from = startIndex(scheduler, Number(steps), Number(strength));
  return startFromLatents(scheduler, clean, toNhwc(await input('noise')), from);
}
