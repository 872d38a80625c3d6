/** What a run's losses say about its images and noise levels, and its validation about memorising. */
import type { StoredRun, TrainRecord, ValidationPoint } from '../worker/protocol.ts';
import { reportError, type SliceContext } from './slice.ts';

export interface RunRecordsSlice {
  /** By run; absent until asked for. */
  readonly recordsByRun: Readonly<Record<string, TrainRecord>>;
  /** Fetches the record, again where the run has gone on since. */
  readonly runRecordNeeded: (run: Pick<StoredRun, 'id' | 'globalStep'>) => Promise<void>;
}

export function createRunRecordsSlice(context: SliceContext): RunRecordsSlice {
  const { client, set } = context;
  const asked = new Map<string, number>();
  return {
    recordsByRun: {},
    runRecordNeeded: async ({ id, globalStep }) => {
      if (asked.get(id) === globalStep) return;
      asked.set(id, globalStep);
      try {
        const record = await client.request('runs.record', { runId: id });
        set((state) => ({ recordsByRun: { ...state.recordsByRun, [id]: record } }));
      } catch (error) {
        asked.delete(id);
        reportError(context, 'The losses of this run’s images could not be read', error);
      }
    },
  };
}

export interface BucketLoss {
  /** Timesteps from here on, below `to`. */
  readonly from: number;
  readonly to: number;
  readonly count: number;
  /** NaN where nothing was trained at these timesteps. */
  readonly mean: number;
}

export interface ImageLoss {
  readonly imageId: string;
  /** How often it was trained on. */
  readonly count: number;
  readonly mean: number;
  /**
   * Its losses over what was usual at their timesteps: 1 is like the others, 2 is twice as hard. The loss depends on the timestep far
   * more than on the image, so means alone would compare the luck of the draw.
   */
  readonly relative: number;
}

export interface RecordSummary {
  readonly buckets: readonly BucketLoss[];
  /** The hardest first. */
  readonly images: readonly ImageLoss[];
}

const BUCKETS = 10;
const TIMESTEPS = 1000;

export function summariseRecord({ imageIds, images, timesteps, losses }: TrainRecord): RecordSummary {
  const width = TIMESTEPS / BUCKETS;
  const bucketOf = (timestep: number): number => Math.min(BUCKETS - 1, Math.floor(timestep / width));
  const sums = Array.from({ length: BUCKETS }, () => ({ sum: 0, count: 0 }));
  losses.forEach((loss, i) => {
    const bucket = sums[bucketOf(timesteps[i] ?? 0)];
    if (bucket === undefined || !Number.isFinite(loss)) return;
    bucket.sum += loss;
    bucket.count++;
  });
  const buckets = sums.map(({ sum, count }, i) => ({ from: i * width, to: (i + 1) * width, count, mean: sum / count }));
  const byImage = imageIds.map((imageId) => ({ imageId, count: 0, sum: 0, relative: 0 }));
  losses.forEach((loss, i) => {
    const image = byImage[images[i] ?? -1];
    const usual = buckets[bucketOf(timesteps[i] ?? 0)]?.mean ?? NaN;
    if (image === undefined || !Number.isFinite(loss) || !(usual > 0)) return;
    image.count++;
    image.sum += loss;
    image.relative += loss / usual;
  });
  return {
    buckets,
    images: byImage
      .filter(({ count }) => count > 0)
      .map(({ imageId, count, sum, relative }) => ({ imageId, count, mean: sum / count, relative: relative / count }))
      .sort((a, b) => b.relative - a.relative),
  };
}

/** Whether an image is so much harder than the others that one should look at it. */
export function standsOut({ relative, count }: ImageLoss): boolean {
  return count >= 5 && relative > 1.35;
}

export interface ValidationVerdict {
  readonly kind: 'too little' | 'falling' | 'flat' | 'memorising';
  /** Sentences. */
  readonly text: string;
}

/** What the loss on held-out images says, in words; null where none was measured. */
export function readValidation(
  points: readonly Pick<ValidationPoint, 'globalStep' | 'loss'>[],
): ValidationVerdict | null {
  const [first] = points;
  const last = points.at(-1);
  if (first === undefined || last === undefined) return null;
  if (points.length < 3) {
    return { kind: 'too little', text: 'Measured too seldom to say anything: three times at least, five are better.' };
  }
  const best = points.reduce((lowest, point) => (point.loss < lowest.loss ? point : lowest));
  const percent = (from: number, to: number): string => `${Math.abs(Math.round((100 * (to - from)) / from))} %`;
  if (best !== last && last.loss > best.loss * 1.03) {
    return {
      kind: 'memorising',
      text: `The loss on the held-out images was lowest at step ${best.globalStep} and has risen by ${percent(best.loss, last.loss)} since: from there on, the LoRA memorises your images rather than learn from them. The state around step ${best.globalStep} is probably the better one; fewer steps, a lower rank or more images help next time.`,
    };
  }
  if (last.loss < first.loss * 0.97) {
    const before = points.at(-2) ?? first;
    const still = last.loss < before.loss * 0.99 ? ' It still falls: more steps may bring more.' : '';
    return {
      kind: 'falling',
      text: `The loss on the held-out images fell by ${percent(first.loss, last.loss)}: the LoRA learns what your images have in common.${still}`,
    };
  }
  return {
    kind: 'flat',
    text: 'The loss on the held-out images hardly moved: nothing was memorised, and little was learned that helps with images it has not seen.',
  };
}
