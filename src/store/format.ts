/** Numbers and names as a person reads them. */
import { demoModel } from '../core/demoModel.ts';

/** `1.7 GB`, `640 MB`, `12 kB`: decimal units, as disks and downloads are sold. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  const digits = unit >= 3 && value < 99.95 ? 1 : 0;
  return `${value.toFixed(digits)} ${units[unit] ?? 'TB'}`;
}

/** `under a second`, `42 s`, `3 min 05 s`, `1 h 20 min`. */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return 'unknown';
  const whole = Math.round(seconds);
  if (whole < 1) return 'under a second';
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, '0')} s`;
  const minutes = Math.round(whole / 60);
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`;
}

/** `3 min 05 s left`, or `estimating…` while nothing is known. */
export function formatEta(seconds: number | null): string {
  if (seconds === null || !Number.isFinite(seconds) || seconds < 0) return 'estimating…';
  return seconds < 1 ? 'almost done' : `${formatDuration(seconds)} left`;
}

/** Steps a second in the form that is easier to read: `3.1 steps/s`, or `2.4 s/step` for slow ones. */
export function formatSpeed(msPerStep: number): string {
  if (!(msPerStep > 0)) return '–';
  return msPerStep <= 1000 ? `${(1000 / msPerStep).toFixed(1)} steps/s` : `${(msPerStep / 1000).toFixed(1)} s/step`;
}

/** A loss with four significant decimals: `0.0842`. */
export function formatLoss(loss: number): string {
  return Number.isFinite(loss) ? loss.toFixed(4) : '–';
}

/** `1 image`, `2 images`. */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString('en')} ${count === 1 ? one : many}`;
}

/** `Today 14:05`, `23 Nov 14:05`, `23 Nov 2025`. */
export function formatDate(epochMs: number, now: Date = new Date()): string {
  const date = new Date(epochMs);
  const time = date.toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' });
  if (date.toDateString() === now.toDateString()) return `Today ${time}`;
  const day = date.toLocaleDateString('en-GB', { day: 'numeric', month: 'short' });
  return date.getFullYear() === now.getFullYear() ? `${day} ${time}` : `${day} ${date.getFullYear()}`;
}

/** The last part of a Hub id: `stable-diffusion-v1-5`. */
export function shortModelName(id: string): string {
  if (id === demoModel.id) return 'Demo model';
  return id.slice(id.lastIndexOf('/') + 1);
}
