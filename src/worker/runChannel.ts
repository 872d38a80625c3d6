/**
 * What tabs tell each other about the run that one of them trains: so that the others can look on. The one that trains answers a tab that
 * has just been opened with all losses so far, then sends every step, sample and line of the log. Whether it is still alive, its
 * lock says (runLock.ts).
 */
import type { RunLock } from './runLock.ts';
import type { Events, EventType, TrainStatus, WatchedRun } from './protocol.ts';

/** What one tab hears of another's run. */
const shared = [
  'train.status',
  'train.step',
  'train.sample',
  'train.validation',
  'train.event',
] as const satisfies readonly EventType[];
type SharedEvent = (typeof shared)[number];

type Message =
  | { readonly kind: 'hello' }
  | { readonly kind: 'state'; readonly run: WatchedRun; readonly status: TrainStatus | null }
  | { readonly kind: 'event'; readonly type: SharedEvent; readonly payload: Events[SharedEvent] }
  | { readonly kind: 'ended' }
  | { readonly kind: 'queue' };

/** What is used of a BroadcastChannel. */
export interface Channel {
  postMessage(message: Message): void;
  addEventListener(type: 'message', listener: (event: { readonly data: Message }) => void): void;
}

interface ChannelParts {
  /** Undefined where there is none: then this tab hears of no other. */
  readonly channel: Channel | undefined;
  readonly lock: Pick<RunLock, 'isTraining'>;
  readonly emit: <T extends EventType>(type: T, payload: Events[T]) => void;
  /** The queue was changed by another tab. */
  readonly onQueue: () => void;
  /** How often it is looked whether the watched tab is alive. */
  readonly pollMs?: number;
}

export class RunChannel {
  /** The run of this tab. */
  private own: { run: WatchedRun; status: TrainStatus | null } | null = null;
  /** The run of another tab. */
  private watched: string | null = null;
  private poll: ReturnType<typeof setInterval> | undefined;

  constructor(private readonly parts: ChannelParts) {
    parts.channel?.addEventListener('message', ({ data }) => this.hear(data));
    this.post({ kind: 'hello' });
  }

  /** This tab begins to train `run`. */
  begin(run: WatchedRun): void {
    this.own = { run: { ...run, losses: [...run.losses] }, status: null };
    this.post({ kind: 'state', ...this.own });
  }

  /** This tab's run is over. */
  end(): void {
    this.own = null;
    this.post({ kind: 'ended' });
  }

  /** Sends an event of this tab's run to its own page and to all others. */
  emit<T extends EventType>(type: T, payload: Events[T]): void {
    this.parts.emit(type, payload);
    if (!this.own || !(shared as readonly EventType[]).includes(type)) return;
    if (type === 'train.status') this.own.status = payload as TrainStatus;
    if (type === 'train.step') {
      const { globalStep, loss } = payload as Events['train.step'];
      const losses = this.own.run.losses as number[];
      losses.length = globalStep - 1;
      losses.push(loss);
    }
    this.post({ kind: 'event', type: type as SharedEvent, payload: payload as Events[SharedEvent] });
  }

  /** Tells the other tabs that the queue has changed. */
  queueChanged(): void {
    this.post({ kind: 'queue' });
  }

  private post(message: Message): void {
    this.parts.channel?.postMessage(message);
  }

  private hear(message: Message): void {
    const { emit, onQueue } = this.parts;
    switch (message.kind) {
      case 'hello':
        if (this.own) this.post({ kind: 'state', ...this.own });
        break;
      case 'state':
        this.watch(message.run.runId);
        emit('watch.changed', message.run);
        if (message.status) emit('train.status', message.status);
        break;
      case 'event':
        if (message.payload.runId === this.watched) emit(message.type, message.payload);
        break;
      case 'ended':
        this.unwatch();
        break;
      case 'queue':
        onQueue();
        break;
    }
  }

  private watch(runId: string): void {
    this.watched = runId;
    clearInterval(this.poll);
    this.poll = setInterval(() => {
      void this.parts.lock.isTraining().then((alive) => {
        if (!alive) this.unwatch();
      });
    }, this.parts.pollMs ?? 2000);
  }

  private unwatch(): void {
    clearInterval(this.poll);
    if (this.watched === null) return;
    this.watched = null;
    this.parts.emit('watch.changed', null);
  }
}
