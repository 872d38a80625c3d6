/** What the tests of the worker share. */
import type { Locks } from './runLock.ts';

/** Web Locks of one browser: hand the same to every tab. */
export function fakeLocks(): Locks {
  const held = new Set<string>();
  return {
    request: async (name, _, work) => {
      if (held.has(name)) return work(null);
      held.add(name);
      try {
        return await work({});
      } finally {
        held.delete(name);
      }
    },
    query: async () => ({ held: Array.from(held, (name) => ({ name })) }),
  };
}
