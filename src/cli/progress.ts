/** A progress bar with ETA on stderr; plain lines where stderr is no terminal, so that logs stay readable. */
import { SingleBar } from 'cli-progress';

export class Progress {
  private bar: SingleBar | null = null;
  private lastDetail = '';

  /** Starts a bar of `total` steps. `format` is cli-progress'; payload fields may be used in it. */
  start(total: number, format: string, payload: Readonly<Record<string, unknown>> = {}): void {
    this.stop();
    if (!process.stderr.isTTY) return;
    this.bar = new SingleBar({ format, stream: process.stderr, hideCursor: true, etaBuffer: 30 });
    this.bar.start(total, 0, { ...payload });
  }

  update(value: number, payload: Readonly<Record<string, unknown>> = {}): void {
    this.bar?.update(value, { ...payload });
  }

  /** A line about what is being done; repeated ones are printed once. */
  say(detail: string): void {
    if (detail === this.lastDetail || this.bar) return;
    this.lastDetail = detail;
    process.stderr.write(`${detail}\n`);
  }

  stop(): void {
    this.bar?.stop();
    this.bar = null;
  }
}

/** 3725 -> `1:02:05`, 65 -> `1:05`. */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  if (parts[0] === 0) parts.shift();
  return parts.map((part, i) => (i === 0 ? String(part) : String(part).padStart(2, '0'))).join(':');
}
