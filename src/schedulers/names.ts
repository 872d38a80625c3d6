/** What schedulers are called: by us, by A1111 and in PNG parameters, by ComfyUI, by diffusers. */
import { hasKarrasSigmas, SCHEDULER_NAMES, type SchedulerName } from './index.ts';

/** As A1111 lists them. */
export const SCHEDULER_LABELS: Readonly<Record<SchedulerName, string>> = {
  ddim: 'DDIM',
  pndm: 'PLMS',
  euler: 'Euler',
  euler_a: 'Euler a',
  dpmpp_2m: 'DPM++ 2M',
  unipc: 'UniPC',
  lcm: 'LCM',
  heun: 'Heun',
};

/** The names that diffusers gives to the same schedulers. */
export const SCHEDULER_CLASSES: Readonly<Record<string, SchedulerName>> = {
  DDIMScheduler: 'ddim',
  PNDMScheduler: 'pndm',
  EulerDiscreteScheduler: 'euler',
  EulerAncestralDiscreteScheduler: 'euler_a',
  DPMSolverMultistepScheduler: 'dpmpp_2m',
  UniPCMultistepScheduler: 'unipc',
  LCMScheduler: 'lcm',
  HeunDiscreteScheduler: 'heun',
};

/** Letters and digits in lower case, plus signs as `p`: "DPM++ 2M" and "dpmpp_2m" are one. */
function plain(name: string): string {
  return name
    .toLowerCase()
    .replaceAll('+', 'p')
    .replaceAll(/[^a-z0-9]/g, '');
}

const KNOWN: ReadonlyMap<string, SchedulerName> = new Map([
  ...SCHEDULER_NAMES.map((name) => [plain(name), name] as const),
  ...SCHEDULER_NAMES.map((name) => [plain(SCHEDULER_LABELS[name]), name] as const),
  ...Object.entries(SCHEDULER_CLASSES).map(([className, name]) => [plain(className), name] as const),
  ['eulerancestral', 'euler_a'],
]);

export interface NamedScheduler {
  readonly name: SchedulerName;
  readonly useKarrasSigmas: boolean;
}

/** The scheduler of any of these names, "Karras" after it or not, in any case; null if there is none. */
export function parseSchedulerName(text: string): NamedScheduler | null {
  const [, base = '', karras = ''] = /^(.*?)(karras)?$/.exec(plain(text)) ?? [];
  const name = KNOWN.get(base);
  const useKarrasSigmas = karras !== '';
  if (name === undefined || (useKarrasSigmas && !hasKarrasSigmas(name))) return null;
  return { name, useKarrasSigmas };
}
