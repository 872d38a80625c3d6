/**
 * Ways to draw with less work, each at a price to the picture: guidance in a part of the walk only (Kynkäänniemi et al. 2024, "Applying
 * guidance in a limited interval improves sample and distribution quality in diffusion models"), and calls of the UNet that reuse what
 * its depth made of an earlier call (Ma, Fang & Wang 2023, "DeepCache"). Which call is what, and how much work is left: pure, so that
 * the loop that draws and the page that says what is saved cannot disagree.
 */

export interface Shortcuts {
  /**
   * Share of a walk's calls, 0..1, that is drawn before guidance sets in; 0, from the first on, if not given. As A1111's `Skip Early CFG`
   * counts: a call that begins exactly there is not guided yet.
   */
  readonly guidanceStart?: number;
  /** Share of a walk's calls, 0..1, after which guidance ends; 1, never, if not given. */
  readonly guidanceEnd?: number;
  /** Every so many calls the whole UNet runs; those between reuse the depth of the one before. 1, always, if not given. */
  readonly reuseInterval?: number;
}

/** More saves next to nothing and leaves little of the picture. */
export const LONGEST_REUSE = 20;

export function usesShortcuts({ guidanceStart = 0, guidanceEnd = 1, reuseInterval = 1 }: Shortcuts): boolean {
  return guidanceStart > 0 || guidanceEnd < 1 || reuseInterval > 1;
}

/** The shortcuts among other settings. */
export function shortcutsOf({ guidanceStart = 0, guidanceEnd = 1, reuseInterval = 1 }: Shortcuts): Required<Shortcuts> {
  return { guidanceStart, guidanceEnd, reuseInterval };
}

/** The same settings, drawn in full. */
export function withoutShortcuts<T extends Shortcuts>(settings: T): Omit<T, keyof Shortcuts> {
  const { guidanceStart: _start, guidanceEnd: _end, reuseInterval: _interval, ...rest } = settings;
  return rest;
}

/**
 * What a call that is not whole takes of a whole one's multiplications, at the model's own size: in SD 1.5's UNet and in the demo
 * model's. Counted by bench/memory.test.ts.
 */
export const SHALLOW_SHARES = { sd15: 0.079, demo: 0.183 } as const;

/** One call of the UNet in a walk. */
export interface PlannedCall {
  /** The negative prompt goes through the UNet too, and the output is guided. */
  readonly guided: boolean;
  /** All of the UNet runs; otherwise its outermost layers, around what its depth gave the last whole call. */
  readonly whole: boolean;
}

export interface Walk extends Shortcuts {
  /** Calls of the UNet: two a step for samplers of second order. */
  readonly calls: number;
  /** Above 1 there is guidance at all. */
  readonly guidanceScale: number;
  /** Whether a prompt is another at this call than at the one before: then nothing is reused. */
  readonly changes?: (call: number) => boolean;
}

/** What each call of a walk does. */
export function planCalls(walk: Walk): PlannedCall[] {
  const { calls, guidanceScale, guidanceStart = 0, guidanceEnd = 1, reuseInterval = 1, changes } = walk;
  const plan: PlannedCall[] = [];
  let lastWhole: PlannedCall | null = null;
  let since = 0;
  for (let call = 0; call < calls; call++) {
    const at = call / calls;
    const guided =
      guidanceScale > 1 && (guidanceStart === 0 || at > guidanceStart) && (guidanceEnd === 1 || at < guidanceEnd);
    since++;
    // What was kept of unguided calls says nothing of the negative prompt.
    const lacksRows: boolean = lastWhole === null || (guided && !lastWhole.guided);
    const whole: boolean = lacksRows || since >= reuseInterval || changes?.(call) === true;
    const planned: PlannedCall = { guided, whole };
    if (whole) [lastWhole, since] = [planned, 0];
    plan.push(planned);
  }
  return plan;
}

/** What a call takes, a row of a whole one being 1; `shallow` is what one takes of a call that is not whole. */
function workOf({ guided, whole }: PlannedCall, shallow: number): number {
  return (guided ? 2 : 1) * (whole ? 1 : shallow);
}

/** After each call of a plan: which share of the plan's work is done, 0..1. */
export function workDone(plan: readonly PlannedCall[]): number[] {
  let sum = 0;
  const sums = plan.map((call) => (sum += workOf(call, SHALLOW_SHARES.sd15)));
  return sums.map((done) => done / sum);
}

/** The share of the UNet's work, 0..1, that a walk takes with its shortcuts; `shallow` is that of a call that is not whole. */
export function workShare(walk: Walk, shallow: number): number {
  const rows = walk.guidanceScale > 1 ? 2 : 1;
  return planCalls(walk).reduce((sum, call) => sum + workOf(call, shallow), 0) / (walk.calls * rows);
}
