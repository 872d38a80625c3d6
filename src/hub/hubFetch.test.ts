/** Plan: waits between retries, with and without the Hub's wish; silence; ranges ignored; aborts. The network is made up. */
import { expect, test } from 'vitest';
import { type HubConnection, hubFetch } from './hubFetch.ts';
import { askedSeconds } from './retry.ts';

const NEVER = new AbortController().signal;

/** A connection whose requests are answered by `answers` in turn, and which writes down its waits in seconds. */
function connect(...answers: (() => Response | Promise<Response>)[]) {
  const waits: number[] = [];
  const connection: HubConnection = {
    id: 'a/b',
    revision: 'main',
    endpoint: 'https://hub.example',
    token: undefined,
    fetch: async () => {
      const answer = answers.shift();
      if (answer === undefined) throw new Error('One request too many');
      return answer();
    },
    sleep: async (ms) => {
      waits.push(ms / 1000);
    },
    stallMs: 60_000,
    reached: false,
  };
  return { connection, waits, left: answers };
}

const fail =
  (status: number, headers: Record<string, string> = {}) =>
  () =>
    new Response('no', { status, headers });
const offline = () => {
  throw new TypeError('Failed to fetch');
};
const times = <T>(count: number, value: T) => Array.from({ length: count }, () => value);

test('a fault of the Hub is retried with growing waits', async () => {
  const { connection, waits } = connect(fail(500), fail(503), offline, () => new Response('fine'));
  const response = await hubFetch(connection, { signal: NEVER })('https://hub.example/x');
  expect(await response.text()).toBe('fine');
  expect(waits).toEqual([1, 2, 4]);
});

test('after the last attempt the error names the model and the status', async () => {
  const { connection, waits, left } = connect(...times(6, fail(502)));
  await expect(hubFetch(connection, { signal: NEVER })('https://hub.example/x')).rejects.toMatchObject({
    code: 'hub-unavailable',
    message: 'The Hub has a fault of its own (status 502) while fetching a/b.',
    remedy: 'Try again in a few minutes: the download goes on where it stopped.',
  });
  expect([waits, left]).toEqual([[1, 2, 4, 8, 16], []]);
});

test('the Hub says how long to wait', async () => {
  const { connection, waits } = connect(
    fail(429, { 'Retry-After': '7' }),
    fail(429, { RateLimit: '"resolvers";r=0;t=55' }),
    fail(429),
    () => new Response('fine'),
  );
  await hubFetch(connection, { signal: NEVER })('https://hub.example/x');
  expect(waits).toEqual([7, 55, 4]);
});

test('a longer wait than a minute is left to the person', async () => {
  const { connection, waits } = connect(fail(429, { 'Retry-After': '280' }));
  await expect(hubFetch(connection, { signal: NEVER })('https://hub.example/x')).rejects.toMatchObject({
    code: 'hub-rate-limit',
    seconds: 280,
    message: 'The Hub limits how often it may be asked, and the limit was reached while fetching a/b.',
    remedy:
      'Wait 280 seconds, then download again: it goes on where it stopped. With an access token the limit is higher.',
  });
  expect(waits).toEqual([]);
});

test('Retry-After may be a date', () => {
  const now = Date.parse('2026-01-01T00:00:00Z');
  expect(askedSeconds(new Headers({ 'Retry-After': 'Thu, 01 Jan 2026 00:00:30 GMT' }), now)).toBe(30);
  expect(askedSeconds(new Headers({ 'Retry-After': 'Wed, 31 Dec 2025 00:00:30 GMT' }), now)).toBe(0);
  expect(askedSeconds(new Headers({ 'Retry-After': 'soon' }), now)).toBeNull();
});

test('a Hub that has never answered is given up soon', async () => {
  const { connection, waits } = connect(offline, offline);
  await expect(hubFetch(connection, { signal: NEVER })('https://hub.example/x')).rejects.toMatchObject({
    code: 'hub-network',
    message: 'https://hub.example could not be reached while fetching a/b.',
    remedy:
      'Check the network connection and the Hub endpoint. A mirror must allow requests from web pages (CORS). What was downloaded is kept.',
  });
  expect(waits).toEqual([1]);
});

test('a connection that falls silent is cut', async () => {
  const { connection } = connect(() => new Response(new ReadableStream({ pull: () => new Promise(() => {}) })));
  const response = await hubFetch({ ...connection, stallMs: 1 }, { signal: NEVER })('https://hub.example/x');
  const raced = Promise.race([response.text(), new Promise((resolve) => setTimeout(resolve, 5000, 'still silent'))]);
  await expect(raced).rejects.toThrow('The connection has fallen silent.');
});

test('the bytes of the body are counted', async () => {
  const { connection } = connect(() => new Response('12345'));
  let count = 0;
  const onBytes = (bytes: number) => {
    count += bytes;
  };
  await (await hubFetch(connection, { signal: NEVER, onBytes })('https://hub.example/x')).text();
  expect(count).toBe(5);
});

test('a server that ignores ranges, and a web page, are no Hub', async () => {
  const page = () => new Response('<html>', { headers: { 'Content-Type': 'text/html; charset=utf-8' } });
  const { connection } = connect(() => new Response('everything'), page);
  const fetch = hubFetch(connection, { signal: NEVER });
  await expect(fetch('https://hub.example/x', { headers: { Range: 'bytes=0-1' } })).rejects.toMatchObject({
    code: 'not-a-hub',
    message: 'https://hub.example does not answer as a Hub while fetching a/b: it does not send parts of files.',
  });
  await expect(fetch('https://hub.example/x')).rejects.toMatchObject({
    message: 'https://hub.example does not answer as a Hub while fetching a/b: it sent a web page instead of a file.',
    remedy:
      'Check the Hub endpoint (https://huggingface.co is the usual one), and whether the network wants you to log in first.',
  });
});

test.each([
  [401, { 'X-Error-Code': 'RepoNotFound' }, 'The Hub has no model a/b, or it is private.'],
  [404, {}, 'The Hub has no model a/b, or it is private.'],
  [403, { 'X-Error-Code': 'GatedRepo' }, 'The model a/b is gated: its owner wants you to accept terms first.'],
  [404, { 'X-Error-Code': 'RevisionNotFound' }, 'The model a/b has no revision main.'],
  [404, { 'X-Error-Code': 'EntryNotFound' }, 'The model a/b has no file x.json, although the Hub lists it.'],
  [
    403,
    { 'X-Error-Message': 'Access to this resource is disabled' },
    'The Hub refused a request for a/b (status 403): Access to this resource is disabled.',
  ],
])('status %i with %j is not retried', async (status, headers, message) => {
  const { connection } = connect(fail(status, headers));
  const fetch = hubFetch(connection, { signal: NEVER, path: 'x.json' });
  await expect(fetch('https://hub.example/x')).rejects.toThrow(message);
});

test('a token that the Hub does not know', async () => {
  const { connection } = connect(fail(401, { 'X-Error-Message': 'Invalid credentials in Authorization header' }));
  const fetch = hubFetch({ ...connection, token: 'hf_x' }, { signal: NEVER });
  await expect(fetch('https://hub.example/x')).rejects.toMatchObject({ code: 'hub-not-found', reason: 'bad-token' });
});
