/** Keeps two tabs from downloading the same model at the same time: the second waits, then finds it there. */

/** Runs `work` while no other tab or worker runs any for the same model. Rejects with the signal's reason if aborted. */
export async function withModelLock<T>(id: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  // lib.dom promises it; Node 20 has none. Without it writes are still safe, only done twice.
  const globals: { navigator?: { locks?: LockManager } } = globalThis;
  const locks = globals.navigator?.locks;
  if (locks === undefined) return work();
  return locks.request(`loratory-download-${id}`, { signal }, work);
}
