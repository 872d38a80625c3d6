/** Counts the bytes of a download and reports them, with the speed over the last seconds, a few times a second at most. */
import type { DownloadProgress } from '../worker/protocol.ts';

const REPORT_EVERY_MS = 100;
const SPEED_WINDOW_MS = 5000;

/** Bytes are those of all files together. */
export class ProgressMeter {
  #loaded = 0;
  #lastReport = -Infinity;
  /** Times in milliseconds and what had arrived over the network by then; the oldest is at most the window's age. */
  readonly #samples: { at: number; received: number }[] = [];
  #received = 0;

  constructor(
    readonly modelId: string,
    readonly totalBytes: number,
    readonly report: (progress: DownloadProgress) => void,
    readonly now: () => number,
  ) {}

  /** Bytes that an earlier attempt had stored already: they count as loaded, not as speed. */
  resume(file: string, bytes: number): void {
    this.#loaded += bytes;
    this.#tell(file, true);
  }

  /** Bytes that have just arrived. */
  receive(file: string, bytes: number): void {
    this.#loaded += bytes;
    this.#received += bytes;
    this.#tell(file, false);
  }

  /** Takes back bytes that arrived in vain. */
  discard(bytes: number): void {
    this.#loaded -= bytes;
  }

  /** Reports now, however short ago the last report was. */
  flush(file: string): void {
    this.#tell(file, true);
  }

  #tell(file: string, always: boolean): void {
    const at = this.now();
    if (!always && at - this.#lastReport < REPORT_EVERY_MS) return;
    this.#lastReport = at;
    this.#samples.push({ at, received: this.#received });
    while (this.#samples.length > 2 && at - (this.#samples[0]?.at ?? at) > SPEED_WINDOW_MS) this.#samples.shift();
    const oldest = this.#samples[0] ?? { at, received: this.#received };
    const seconds = (at - oldest.at) / 1000;
    const bytesPerSecond = seconds > 0 ? (this.#received - oldest.received) / seconds : 0;
    this.report({
      modelId: this.modelId,
      file,
      loadedBytes: this.#loaded,
      totalBytes: this.totalBytes,
      bytesPerSecond,
    });
  }
}
