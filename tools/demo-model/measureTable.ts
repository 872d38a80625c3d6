/** The measurements as the model card shows them. */
import type { FidelityReport } from './measureFidelity.ts';
import type { LoraReport } from './measureLora.ts';
import type { VaeReport } from './measureVae.ts';

/** Everything measured, as measure.json holds it. */
export interface Measurements {
  readonly model: string;
  readonly gpu: string;
  /** When it was measured (ISO 8601). */
  readonly date: string;
  vae?: VaeReport;
  fidelity?: FidelityReport;
  lora?: LoraReport;
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
const decibels = (value: number): string => `${value.toFixed(2)} dB`;

/** A Markdown table: what, how much, and what was wanted of it. */
export function markdownTable({ vae, fidelity, lora }: Measurements): string {
  const rows: (readonly [string, string, string])[] = [];
  if (vae) rows.push([`VAE: mean PSNR of ${vae.drawings} drawings`, decibels(vae.meanPsnr), '≥ 26 dB']);
  if (fidelity) {
    rows.push(
      [`Prompts: ${fidelity.names} names, nearest drawing has the name`, percent(fidelity.sameName), ''],
      ['Prompts: nearest drawing has the name or its noun', percent(fidelity.sameNoun), '≥ 60 %'],
    );
  }
  if (lora) {
    const { rank, learningRate, trainBatchSize } = lora.preset;
    const recipe = `rank ${rank}, learning rate ${learningRate}, batch ${trainBatchSize}`;
    rows.push([
      `LoRA (${recipe}): the base's PSNR to pixel art of ${lora.names.length} plain names`,
      decibels(lora.basePlain),
      '',
    ]);
    for (const { step, meanPsnr } of lora.checkpoints) {
      rows.push([`LoRA: PSNR after ${step} steps${step === 0 ? ' (the base)' : ''}`, decibels(meanPsnr), '']);
    }
    rows.push(
      [`LoRA: gain over the base after ${lora.checkpoints.at(-1)?.step} steps`, decibels(lora.gain), '≥ 1 dB'],
      ['LoRA: gain over the base prompted by the plain names', decibels(lora.gainOverPlain), ''],
    );
  }
  return [
    '| measured | value | wanted |',
    '| --- | ---: | ---: |',
    ...rows.map((row) => `| ${row.join(' | ')} |`),
  ].join('\n');
}
