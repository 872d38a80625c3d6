/** What the page remembers between visits: small strings in localStorage. A browser that forbids it only forgets. */
const prefix = 'loratory.';

export type PersistedKey =
  | 'endpoint'
  | 'model'
  | 'theme'
  | 'triggerWord'
  | 'background'
  | 'trainForm'
  | 'preset'
  | 'presets'
  | 'generateForm'
  | 'shelf'
  | 'samplePrompts';

/** What was remembered under `key`, or null. */
export function recall(key: PersistedKey): string | null {
  try {
    return globalThis.localStorage.getItem(prefix + key);
  } catch {
    return null;
  }
}

/** Remembers `value` under `key`; null forgets it. */
export function remember(key: PersistedKey, value: string | null): void {
  try {
    if (value === null) globalThis.localStorage.removeItem(prefix + key);
    else globalThis.localStorage.setItem(prefix + key, value);
  } catch {
    // Private windows may refuse; nothing depends on it.
  }
}

/** A remembered record of strings, laid over `initial`; keys that `initial` does not have, and non-strings, are dropped. */
export function recallForm<T extends { readonly [K in keyof T]: string }>(key: PersistedKey, initial: T): T {
  try {
    const stored: unknown = JSON.parse(recall(key) ?? '{}');
    if (typeof stored !== 'object' || stored === null) return initial;
    const known = Object.entries(stored).filter(([name, value]) => name in initial && typeof value === 'string');
    return { ...initial, ...Object.fromEntries(known) };
  } catch {
    return initial;
  }
}
