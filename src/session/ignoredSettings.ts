/** Settings in a picture's parameters that say something but have no place here. */
import type { PngParameters } from '../formats/pngParameters.ts';
import { parseSchedulerName } from '../schedulers/names.ts';

/** Read by settingsOfPicture, or saying nothing of how the picture looks. */
const UNDERSTOOD = new Set([
  'Steps',
  'Sampler',
  'Schedule type',
  'CFG scale',
  'Seed',
  'Size',
  'Model',
  'Model hash',
  'Clip skip',
  'RNG',
  'Timestep spacing',
  'Mixed precision',
  'Lora hashes',
  'TI hashes',
  'Emphasis',
  'Denoising strength',
  'Skip Early CFG',
  'Guidance end',
  'Reuse interval',
  'Hires upscale',
  'Hires upscaler',
  'Hires steps',
  'Batch size',
  'Batch pos',
  'Version',
  'User',
]);

/** In the order in which they stand. A sampler or schedule that is not known here is among them. */
export function ignoredSettings({ settings }: PngParameters): (readonly [name: string, value: string])[] {
  return settings.filter(([name, value]) => {
    if (name === 'Sampler') return parseSchedulerName(value) === null;
    if (name === 'Schedule type') return !['Automatic', 'Karras', 'Uniform'].includes(value);
    return !UNDERSTOOD.has(name);
  });
}
