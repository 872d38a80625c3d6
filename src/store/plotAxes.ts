/** How the page speaks of the axes of core/plot.ts, and what only it knows: names of schedulers, steps that were kept. */
import { type AxisKind, type PlotContext } from '../core/plot.ts';
import type { GenerateRequest, SchedulerName } from '../worker/protocol.ts';
import { canUseKarras, schedulerLabels } from './generateForm.ts';

export const axisLabels: Readonly<Record<AxisKind, string>> = {
  'lora-weight': 'LoRA weight',
  'training-step': 'Training step',
  seed: 'Seed',
  guidance: 'Guidance scale',
  steps: 'Steps',
  scheduler: 'Scheduler',
  prompt: 'Prompt: search and replace',
  size: 'Size',
  'clip-skip': 'CLIP skip',
  'guidance-start': 'Guidance start',
  'guidance-end': 'Guidance end',
  reuse: 'Reuse interval',
};

export const axisHints: Readonly<Record<AxisKind, string>> = {
  'lora-weight': '0, 0.5, 1 or 0-1 [5]',
  'training-step': '100, 200, 300 or 100-600 (+100)',
  seed: '1, 2, 3 or 1-4',
  guidance: '3, 7, 12',
  steps: '10, 20, 40',
  scheduler: 'DDIM, Euler a, DPM++ 2M Karras',
  prompt: 'cat, dog, "a red, shy fox"',
  size: '512x512, 512x768',
  'clip-skip': '1, 2',
  'guidance-start': '0, 0.1, 0.2',
  'guidance-end': '0.6, 0.8, 1',
  reuse: '1, 2, 3, 5',
};

const plain = (text: string): string => text.toLowerCase().replaceAll(/[^a-z0-9+]/g, '');

function schedulerNamed(text: string): { readonly scheduler: SchedulerName; readonly karras: boolean } | null {
  const karras = plain(text).endsWith('karras');
  const base = plain(text).replace(/karras$/, '');
  const names = Object.keys(schedulerLabels) as SchedulerName[];
  const scheduler = names.find((name) => [plain(name), plain(schedulerLabels[name])].includes(base));
  return scheduler === undefined || (karras && !canUseKarras(scheduler)) ? null : { scheduler, karras };
}

/** `runSteps`: which steps of which runs were kept, as far as it was asked for; of others the worker says what it lacks. */
export function plotContext(runSteps: Readonly<Record<string, readonly number[]>>): PlotContext<GenerateRequest> {
  return {
    scheduler: (request, text) => {
      const named = schedulerNamed(text);
      if (named === null) return null;
      const spacing = request.schedulerOptions?.timestepSpacing;
      return {
        ...request,
        scheduler: named.scheduler,
        schedulerOptions: {
          ...(spacing === undefined ? {} : { timestepSpacing: spacing }),
          ...(named.karras ? { useKarrasSigmas: true } : {}),
        },
      };
    },
    trainingStep: (request, index, globalStep) => {
      const source = request.loras[index]?.source;
      if (source?.kind !== 'run' || runSteps[source.runId]?.includes(globalStep) === false) return null;
      return {
        ...request,
        loras: request.loras.map((lora, i) => (i === index ? { ...lora, source: { ...source, globalStep } } : lora)),
      };
    },
  };
}
