// Plan: a picture's settings in A1111's form; LoRAs as tags and hashes; clip skip and plain syntax where they are not the default.
import { describe, expect, it } from 'vitest';
import { usesShortcuts } from '../core/shortcuts.ts';
import { encodeSafetensors } from '../formats/safetensors.ts';
import { loraShortHash } from '../formats/lora/hash.ts';
import { formatParameters, parseParameters } from '../formats/pngParameters.ts';
import { ignoredSettings } from './ignoredSettings.ts';
import { pictureParameters, settingsOfPicture } from './parameters.ts';

const request = {
  prompt: 'a cat',
  negativePrompt: '',
  seed: 42,
  numInferenceSteps: 20,
  guidanceScale: 7.5,
  width: 512,
  height: 768,
  scheduler: 'euler',
} as const;
const none = { modelName: 'stable-diffusion-v1-5/stable-diffusion-v1-5', loras: [] };

describe("a picture's parameters", () => {
  it("have A1111's form", () => {
    expect(formatParameters(pictureParameters(request, none))).toBe(
      'a cat\nSteps: 20, Sampler: Euler, Schedule type: Automatic, CFG scale: 7.5, Seed: 42, Size: 512x768, Model: stable-diffusion-v1-5, RNG: CPU, Version: Loratory',
    );
  });

  it("say Karras sigmas, and the CPU's generator", () => {
    const options = { scheduler: 'dpmpp_2m', schedulerOptions: { useKarrasSigmas: true }, noiseDevice: 'gpu' } as const;
    const text = formatParameters(pictureParameters({ ...request, ...options }, none));
    expect(text).toContain('Sampler: DPM++ 2M, Schedule type: Karras, ');
    expect(text).not.toContain('RNG');
  });

  it('call what A1111 would take Karras sigmas for Uniform', () => {
    const settings = pictureParameters({ ...request, scheduler: 'dpmpp_2m' }, none);
    expect(formatParameters(settings)).toContain('Sampler: DPM++ 2M, Schedule type: Uniform, ');
    expect(settingsOfPicture(settings).schedulerOptions).toEqual({});
  });

  it.each([
    ['Sampler: DPM++ 2M, Schedule type: Automatic, Version: v1.10.1', true],
    ['Sampler: DPM++ 2M, Schedule type: Uniform, Version: v1.10.1', false],
    ['Sampler: DPM++ 2M, CFG scale: 7, Version: v1.6.0', false],
    ['Sampler: DPM++ 2M Karras, CFG scale: 7, Version: v1.6.0', true],
    ['Sampler: DPM++ 2M, Schedule type: Automatic, Version: Loratory', false],
    ['Sampler: Euler, Schedule type: Automatic, Version: v1.10.1', false],
  ])('%s: Karras sigmas %s', (text, isKarras) => {
    const { schedulerOptions } = settingsOfPicture(parseParameters(`a\nSteps: 20, ${text}`));
    expect(schedulerOptions.useKarrasSigmas === true).toBe(isKarras);
  });

  it('name LoRAs by tag and hash, those of the prompt once', () => {
    const loras = [
      { name: 'style', weight: 0.8, hash: '0123456789ab' },
      { name: 'a: b', weight: 1, textEncoderWeight: 0.5, hash: 'ba9876543210' },
    ];
    const parameters = pictureParameters({ ...request, prompt: 'x <lora:style:0.8>' }, { ...none, loras });
    expect(parameters.prompt).toBe('x <lora:style:0.8><lora:a b:0.5:1>');
    const again = pictureParameters({ ...request, prompt: parameters.prompt }, { ...none, loras });
    expect(again.prompt).toBe(parameters.prompt);
    expect(formatParameters(parameters)).toContain(', Lora hashes: "style: 0123456789ab, a b: ba9876543210", ');
    expect(parseParameters(formatParameters(parameters))).toEqual(parameters);
  });

  it('say clip skip and plain syntax only where they matter', () => {
    const has = (changes: object): string[] =>
      pictureParameters({ ...request, ...changes }, none)
        .settings.filter(([name]) => ['Clip skip', 'Emphasis'].includes(name))
        .map((pair) => pair.join(': '));
    expect(has({ clipSkip: 1, syntax: 'plain' })).toEqual([]);
    expect(has({ clipSkip: 2, syntax: 'plain', prompt: '(x)' })).toEqual(['Clip skip: 2', 'Emphasis: None']);
    expect(has({ syntax: 'a1111', prompt: '(x)' })).toEqual([]);
  });
});

describe('shortcuts', () => {
  const text = (changes: object): string => formatParameters(pictureParameters({ ...request, ...changes }, none));

  it('are said where they are taken, the first as A1111 says it', () => {
    expect(text({ guidanceStart: 0, guidanceEnd: 1, reuseInterval: 1 })).toBe(text({}));
    expect(text({ guidanceStart: 0.1, guidanceEnd: 0.8, reuseInterval: 3 })).toContain(
      ', Skip Early CFG: 0.1, Guidance end: 0.8, Reuse interval: 3, RNG: CPU, ',
    );
    expect(ignoredSettings(parseParameters(text({ guidanceStart: 0.1, guidanceEnd: 0.8, reuseInterval: 3 })))).toEqual(
      [],
    );
  });

  it('that cannot be are not read', () => {
    const read = settingsOfPicture(
      parseParameters('a\nSteps: 20, Sampler: Euler, Skip Early CFG: 7, Guidance end: -1, Reuse interval: 2.5'),
    );
    expect(usesShortcuts(read)).toBe(false);
    expect(settingsOfPicture(parseParameters('a\nSteps: 20, Sampler: Euler, Skip Early CFG: 0.25'))).toHaveProperty(
      'guidanceStart',
      0.25,
    );
  });
});

describe('image to image, hires fix and batches', () => {
  const gray = { width: 1, height: 1, data: new Uint8Array(3) };

  it("are said in A1111's words, and come back", () => {
    const hires = { scale: 2, steps: 10, strength: 0.4, upscaler: 'lanczos' } as const;
    const batch = { ...none, batchPosition: 1 };
    const text = formatParameters(pictureParameters({ ...request, hires, batchSize: 4 }, batch));
    expect(text).toContain(
      'Batch size: 4, Batch pos: 1, Denoising strength: 0.4, RNG: CPU, Hires upscale: 2, Hires steps: 10, Hires upscaler: Lanczos',
    );
    expect(settingsOfPicture(parseParameters(text))).toMatchObject({ hires, strength: 0.4 });
  });

  it('of a picture and a mask, its strength and blur', () => {
    const init = { image: gray, strength: 0.75, mask: gray, maskBlur: 4 };
    const parameters = pictureParameters({ ...request, init }, none);
    expect(formatParameters(parameters)).toContain('Denoising strength: 0.75, Mask blur: 4, ');
    const settings = settingsOfPicture(parameters);
    expect(settings.strength).toBe(0.75);
    expect(settings.hires).toBeUndefined();
  });

  it("say diffusers' seeds", () => {
    expect(formatParameters(pictureParameters({ ...request, seedMode: 'diffusers' }, none))).toContain(
      'Seeds: diffusers',
    );
  });
});

describe('settings of a picture', () => {
  it('come back from what was written', () => {
    const drawn = {
      ...request,
      negativePrompt: 'bad: (very)',
      scheduler: 'dpmpp_2m',
      schedulerOptions: { useKarrasSigmas: true, timestepSpacing: 'trailing' },
      clipSkip: 2,
      guidanceStart: 0.1,
      guidanceEnd: 0.8,
      reuseInterval: 3,
      mixedPrecision: 'fp16',
      syntax: 'plain',
      noiseDevice: 'gpu',
    } as const;
    const loras = [{ name: 'style', weight: 0.8, textEncoderWeight: 0.5, hash: '0123456789ab' }];
    const text = formatParameters(pictureParameters(drawn, { ...none, loras }));
    expect(settingsOfPicture(parseParameters(text))).toEqual({
      ...drawn,
      model: 'stable-diffusion-v1-5',
      loras: [{ name: 'style', unetWeight: 0.8, textEncoderWeight: 0.5, hash: '0123456789ab' }],
    });
  });

  it("are read from A1111's own", () => {
    const settings =
      'Steps: 30, Sampler: DPM++ 2M Karras, CFG scale: 7, Seed: 1, Size: 512x768, Model: x, Clip skip: 2';
    expect(settingsOfPicture(parseParameters(`a\n${settings}`))).toEqual({
      prompt: 'a',
      negativePrompt: '',
      loras: [],
      numInferenceSteps: 30,
      guidanceScale: 7,
      seed: 1,
      width: 512,
      height: 768,
      scheduler: 'dpmpp_2m',
      schedulerOptions: { useKarrasSigmas: true },
      model: 'x',
      clipSkip: 2,
      syntax: 'a1111',
      noiseDevice: 'gpu',
    });
  });

  it('leave out what is not known or makes no sense', () => {
    const { prompt, ...rest } = settingsOfPicture(
      parseParameters('a\nSteps: many, Sampler: Restart, Seed: -1, Size: 5'),
    );
    expect(prompt).toBe('a');
    expect(rest).toEqual({
      negativePrompt: '',
      loras: [],
      schedulerOptions: {},
      clipSkip: 1,
      syntax: 'a1111',
      noiseDevice: 'gpu',
    });
  });
});

describe("a LoRA's hash", () => {
  it('is of its tensors, whatever its header says', () => {
    const tensor = { name: 'a', dtype: 'F32', shape: [2], data: Float32Array.of(1, 2) } as const;
    const hash = loraShortHash(encodeSafetensors([tensor]));
    expect(hash).toMatch(/^[0-9a-f]{12}$/);
    expect(loraShortHash(encodeSafetensors([tensor], { ss_output_name: 'x' }))).toBe(hash);
    expect(loraShortHash(encodeSafetensors([{ ...tensor, data: Float32Array.of(1, 3) }]))).not.toBe(hash);
  });
});
