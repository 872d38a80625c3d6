/**
 * How much this browser lets us keep, and the typed errors for when it does not.
 *
 * Browsers give an origin a share of the disk (Chrome 60%, Firefox 10%, Safari 60%) and may delete it under pressure unless
 * persistence was granted. `persist()` exists in windows only, so the page has to ask; workers can only look.
 */
import { LoratoryError } from '../core/errors.ts';
import type { StorageInfo } from '../worker/protocol.ts';

/** The part of `navigator.storage` that we use; tests hand in their own. */
export interface StorageEstimator {
  estimate(): Promise<StorageEstimate>;
  persisted?(): Promise<boolean>;
}

/** The browser has no room for what was to be written. `needed` and `available` are bytes; null where it is not known. */
export class StorageQuotaError extends LoratoryError {
  readonly code = 'storage-quota';

  constructor(
    readonly needed: number | null,
    readonly available: number | null,
    options?: ErrorOptions,
  ) {
    const wanted = needed === null ? 'it' : formatBytes(needed);
    const room = available === null ? '' : `: ${formatBytes(available)} is free`;
    super(
      `There is no room for ${wanted} in this browser's storage${room}.`,
      'Delete models or runs that you no longer need, or free space on the disk, then try again.',
      { needed, available },
      options,
    );
  }
}

/** The browser refused to open or to use its storage at all (private window, blocked by a setting, damaged profile). */
export class StorageUnavailableError extends LoratoryError {
  readonly code = 'storage-unavailable';

  constructor(cause: unknown) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    super(
      `This browser's storage cannot be used: ${reason}`,
      'Leave private browsing, allow this site to store data, then reload the page.',
      { reason },
      { cause },
    );
  }
}

/** `bytes` as people say it: decimal units, as disks are sold. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} bytes`;
  for (const [unit, size] of [
    ['GB', 1e9],
    ['MB', 1e6],
  ] as const) {
    if (bytes >= size) return `${(bytes / size).toFixed(1)} ${unit}`;
  }
  return `${(bytes / 1e3).toFixed(1)} kB`;
}

/** This browser's storage manager; undefined where there is none (Node, insecure pages). */
export function browserStorage(): StorageEstimator | undefined {
  // lib.dom promises both; Node 20 has neither.
  const globals: { navigator?: { storage?: StorageEstimator } } = globalThis;
  return globals.navigator?.storage;
}

/** Bytes that may still be written; null where the browser does not say. */
export async function availableBytes(storage: StorageEstimator | undefined): Promise<number | null> {
  if (storage === undefined) return null;
  const { quota, usage } = await storage.estimate();
  return quota === undefined ? null : Math.max(0, quota - (usage ?? 0));
}

/** Throws {@link StorageQuotaError} if the browser's estimate says that `needed` bytes will not fit. */
export async function ensureRoom(needed: number, storage: StorageEstimator | undefined): Promise<void> {
  const available = await availableBytes(storage);
  if (available !== null && needed > available) throw new StorageQuotaError(needed, available);
}

/** Usage, quota (bytes; 0 where unknown) and whether the data is safe from eviction. */
export async function storageInfo(storage = browserStorage()): Promise<StorageInfo> {
  const estimate = await storage?.estimate();
  return {
    usageBytes: estimate?.usage ?? 0,
    quotaBytes: estimate?.quota ?? 0,
    persisted: (await storage?.persisted?.()) ?? false,
  };
}
