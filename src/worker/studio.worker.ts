/** The studio's web worker: everything that touches the GPU, the network or the disk runs here, off the page's thread. */
import { serve, type Port } from './server.ts';
import { createHandlers } from './studio.ts';
import type { Events, EventType } from './protocol.ts';

const port = globalThis as unknown as Port;
const send = serve(
  port,
  createHandlers(<T extends EventType>(type: T, payload: Events[T]) => send(type, payload)),
);
