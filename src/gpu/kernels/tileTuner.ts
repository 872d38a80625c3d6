/** The tuner of the tiles of matrix products, on the runtime's device. */
import { dispatchTimer } from '../dispatchTimer.ts';
import { runtime, type Dispatch, type Runtime } from '../runtime.ts';
import { Tuner, type TunerOptions } from '../tuner.ts';

const tuners = new WeakMap<Runtime, Tuner<Dispatch>>();

/** The tuner of the runtime, if one was started. */
export function tileTuner(): Tuner<Dispatch> | null {
  return tuners.get(runtime()) ?? null;
}

/**
 * From now on tiles are chosen by timing every product once, on the runtime's GPU, while it works. Null, and the default everywhere, where
 * the GPU has no clock, or is none: a processor that plays one has nothing to gain. `onSoftware`: there, too, for tests.
 */
export function startTileTuner({
  onSoftware = false,
  ...options
}: Omit<TunerOptions, 'device'> & { readonly onSoftware?: boolean } = {}): Tuner<Dispatch> | null {
  const { opened } = runtime();
  const measurer = dispatchTimer();
  if (!measurer || (opened.isSoftware && !onSoftware)) return null;
  const { vendor, architecture, device, description } = opened.adapterInfo;
  const tuner = new Tuner(measurer, { ...options, device: [vendor, architecture, device, description].join('|') });
  tuners.set(runtime(), tuner);
  return tuner;
}

const hashes = new Map<string, string>();

/** A name for a shader's text, so that what was found out about another text is forgotten: FNV-1a, of 32 bits. */
export function textHash(text: string): string {
  let hash = hashes.get(text);
  if (hash === undefined) {
    let bits = 0x811c9dc5;
    for (let i = 0; i < text.length; i++) bits = Math.imul(bits ^ text.charCodeAt(i), 0x01000193);
    hashes.set(text, (hash = (bits >>> 0).toString(36)));
  }
  return hash;
}
