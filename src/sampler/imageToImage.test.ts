/** Plan: the entry that each strength begins at, for schedulers of either order and PNDM's longer list; strengths that leave no step. */
import { describe, expect, it } from 'vitest';
import { fixtureJson } from '../../tools/testing.ts';
import { createScheduler } from '../schedulers/index.ts';
import { startFromLatents, startIndex } from './imageToImage.ts';

const SD15 = fixtureJson('sd15-tiny/model/scheduler/scheduler_config.json') as Record<string, unknown>;

describe('image to image', () => {
  it.each([
    // StableDiffusionImg2ImgPipeline.get_timesteps: timesteps[(n - int(n * strength)) * order :]
    { name: 'ddim', strength: 0.6, timesteps: [501, 401, 301, 201, 101, 1] },
    { name: 'pndm', strength: 0.6, timesteps: [601, 501, 401, 301, 201, 101, 1] },
    { name: 'heun', strength: 0.3, timesteps: [222, 111, 111, 0, 0] },
    { name: 'euler', strength: 1, timesteps: [999, 888, 777, 666, 555, 444, 333, 222, 111, 0] },
  ] as const)('begins $name at strength $strength as diffusers does', ({ name, strength, timesteps }) => {
    const scheduler = createScheduler(name, SD15, 10);
    expect(scheduler.timesteps.slice(startIndex(scheduler, 10, strength))).toEqual(timesteps);
  });

  it('leaves the picture as it is where strength is too small for a step', () => {
    const scheduler = createScheduler('euler', SD15, 10);
    const [clean, noise] = [Float32Array.of(1, 2), Float32Array.of(3, 4)];
    const from = startIndex(scheduler, 10, 0.05);
    expect(startFromLatents(scheduler, clean, noise, from)).toEqual({ latents: clean, from: 10 });
    expect(startFromLatents(scheduler, clean, noise, 9).latents).toEqual(scheduler.addNoise(clean, noise, 9));
  });
});
