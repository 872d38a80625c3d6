/** The sampler on the command line. */
import { InvalidArgumentError } from 'commander';
import { parseSchedulerName, SCHEDULER_LABELS, type NamedScheduler } from '../schedulers/names.ts';
import type { TimestepSpacing } from '../schedulers/noiseSchedule.ts';
import type { SchedulerOptions } from '../session/generationRequest.ts';

export const schedulerHelp = Object.entries(SCHEDULER_LABELS)
  .map(([name, label]) => (name === label.toLowerCase() ? name : `${name} (${label})`))
  .join(', ');

/** A sampler as A1111, ComfyUI or diffusers call it. */
export function schedulerOption(text: string): NamedScheduler {
  const named = parseSchedulerName(text);
  if (!named) throw new InvalidArgumentError(`A sampler is wanted: ${schedulerHelp}; "Karras" may follow some.`);
  return named;
}

/** What the flags say of the sampler besides its name. */
export function schedulerOptionsOf(flags: {
  readonly scheduler: NamedScheduler;
  readonly spacing?: TimestepSpacing;
  readonly karras: boolean;
}): SchedulerOptions {
  const useKarrasSigmas = flags.karras || flags.scheduler.useKarrasSigmas;
  return {
    ...(flags.spacing ? { timestepSpacing: flags.spacing } : {}),
    ...(useKarrasSigmas ? { useKarrasSigmas } : {}),
  };
}
