/** Lets messages in between two pieces of long work: without it a worker hears of a cancellation only when it is done. */

const channel = new MessageChannel();
const waiting: (() => void)[] = [];
channel.port1.onmessage = () => waiting.shift()?.();

/** Resolves after the messages that have arrived; rejects with AbortError if the work was cancelled. */
export async function letMessagesIn(signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    waiting.push(resolve);
    channel.port2.postMessage(null);
  });
  signal.throwIfAborted();
}
