/**
 * A small Hub: serves a folder through the part of the Hub's HTTP protocol that @huggingface/hub uses to read models, so that
 * the client's real code runs against it unchanged. LFS files redirect to a second origin, as the Hub's do to its CDN.
 * Sources: @huggingface/hub 2.17.5 src/lib, and the headers that huggingface.co sends.
 */
import { createReadStream } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { Repositories, type Repository, type RepositoryFile } from './repositories.ts';

/** A request as it arrived. */
export interface HubRequest {
  readonly method: string;
  /** Decoded path without the query, e.g. `/api/models/a/b/tree/main`; begins with `/cdn/` on the second origin. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** The Range header, if any. */
  readonly range: string | null;
  /** The Authorization header, if any. */
  readonly authorization: string | null;
  readonly accept: string | null;
}

/** What should go wrong with a request. */
export interface Fault {
  /** Answer with this status instead. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Seconds, sent as Retry-After. */
  readonly retryAfter?: number;
  readonly body?: string;
  /** Answer rightly, but cut the connection after so many bytes of the body. */
  readonly dropAfterBytes?: number;
  /** Answer rightly, but send nothing more after so many bytes of the body; the connection stays open. */
  readonly stallAfterBytes?: number;
  /** Answer rightly, but with this byte of the file (counted from its start) inverted. */
  readonly corruptByte?: number;
}

export interface HubOptions {
  /** DIR of DIR/<org>/<name>/..., or a model itself: then it is `local/<basename>`. */
  readonly root: string;
  /** 0 or nothing: any free port. The CDN's port is always a free one. */
  readonly port?: number;
  /** Called for each request but preflights; null means that nothing goes wrong. */
  readonly fault?: (request: HubRequest) => Fault | null;
  /** If given, every repository is private: its requests need `Authorization: Bearer <token>`. */
  readonly token?: string;
  /** Entries in a page of a tree; the real Hub has 1,000. */
  readonly pageSize?: number;
}

export interface RunningHub {
  /** Base URL, e.g. `http://127.0.0.1:8123`. */
  readonly url: string;
  /** Base URL of the origin that LFS files are redirected to. */
  readonly cdnUrl: string;
  /** Every request so far, preflights included, in order of arrival. */
  readonly requests: readonly HubRequest[];
  /** Ids that are served at the moment. */
  ids(): Promise<string[]>;
  close(): Promise<void>;
}

interface Exchange {
  readonly request: HubRequest;
  readonly response: ServerResponse;
  readonly fault: Fault | null;
  /** Body of a POST. */
  readonly body: string;
}

// What huggingface.co lets pages of other origins read. The CDN sends no X-Linked-*: they end at the redirect.
const EXPOSED =
  'X-Repo-Commit,X-Request-Id,X-Error-Code,X-Error-Message,X-Total-Count,ETag,Link,Accept-Ranges,Content-Range,X-Linked-Size,X-Linked-ETag,X-Xet-Hash,Retry-After,RateLimit';
const HOST = '127.0.0.1';

/** Starts the Hub and its CDN. Rejects if the port is taken. */
export async function startHub(options: HubOptions): Promise<RunningHub> {
  const repositories = new Repositories(options.root);
  const requests: HubRequest[] = [];
  const serve = (answer: (exchange: Exchange) => Promise<void>) =>
    createServer((message, response) => {
      void handle(message, response, answer).catch((error: unknown) => {
        if (!response.headersSent) sendError(response, 500, 'InternalError', String(error));
        else response.destroy();
      });
    });

  async function handle(
    message: IncomingMessage,
    response: ServerResponse,
    answer: (exchange: Exchange) => Promise<void>,
  ): Promise<void> {
    const request = parseRequest(message);
    requests.push(request);
    response.setHeader('Access-Control-Allow-Origin', message.headers.origin ?? '*');
    response.setHeader('Access-Control-Expose-Headers', EXPOSED);
    response.setHeader('Vary', 'Origin');
    if (request.method === 'OPTIONS') {
      response.setHeader('Access-Control-Allow-Methods', 'GET, HEAD, POST, OPTIONS');
      response.setHeader('Access-Control-Allow-Headers', message.headers['access-control-request-headers'] ?? '');
      response.setHeader('Access-Control-Max-Age', '86400');
      response.writeHead(204).end();
      return;
    }
    message.setEncoding('utf8');
    let body = '';
    for await (const chunk of message) body += String(chunk);
    const fault = options.fault?.(request) ?? null;
    for (const [name, value] of Object.entries(fault?.headers ?? {})) response.setHeader(name, value);
    if (fault?.retryAfter !== undefined) response.setHeader('Retry-After', fault.retryAfter);
    if (fault?.status === undefined && fault?.body === undefined) {
      await answer({ request, response, fault, body });
      return;
    }
    if (fault.body === undefined) sendError(response, fault.status ?? 500, undefined, `Status ${fault.status}`);
    else response.writeHead(fault.status ?? 200).end(fault.body);
  }

  const cdn = serve((exchange) => answerCdn(exchange, repositories));
  const cdnUrl = await listen(cdn, 0);
  const hub = serve((exchange) => answerHub(exchange, repositories, cdnUrl, options));
  let url: string;
  try {
    url = await listen(hub, options.port ?? 0);
  } catch (error) {
    cdn.close();
    throw error;
  }
  return {
    url,
    cdnUrl,
    requests,
    ids: () => repositories.ids(),
    close: async () => {
      await Promise.all([close(hub), close(cdn)]);
    },
  };
}

function parseRequest(message: IncomingMessage): HubRequest {
  const { pathname, searchParams } = new URL(message.url ?? '/', 'http://hub');
  let path = pathname;
  try {
    path = decodeURIComponent(pathname);
  } catch {
    // A malformed escape: the path as it is matches no file.
  }
  return {
    method: message.method ?? 'GET',
    path,
    query: searchParams,
    range: message.headers.range ?? null,
    authorization: message.headers.authorization ?? null,
    accept: message.headers.accept ?? null,
  };
}

async function answerHub(
  exchange: Exchange,
  repositories: Repositories,
  cdnUrl: string,
  options: HubOptions,
): Promise<void> {
  const { request, response } = exchange;
  if (request.path === '/api/models') {
    await sendSearch(exchange, repositories, options);
    return;
  }
  const api = /^\/api\/models\/([^/]+\/[^/]+)(?:\/(revision|tree|paths-info)\/([^/]+)(?:\/(.*))?)?$/.exec(request.path);
  const file = /^\/([^/]+\/[^/]+)\/(resolve|raw)\/([^/]+)\/(.+)$/.exec(request.path);
  const [, id = '', verb = 'revision', revision = 'main', path = ''] = api ?? file ?? [];
  const repository = await repositories.find(id);
  if (repository === undefined || !isAuthorized(request, options.token)) {
    // The Hub does not tell a stranger whether a repository is missing or private: 401 without a token, 404 with one.
    const message = request.authorization === null ? 'Invalid username or password.' : 'Repository not found';
    sendError(response, request.authorization === null ? 401 : 404, 'RepoNotFound', message);
    return;
  }
  if (!['main', 'HEAD', repository.sha].includes(revision)) {
    sendError(response, 404, 'RevisionNotFound', `Invalid rev id: ${revision}`);
    return;
  }
  response.setHeader('X-Repo-Commit', repository.sha);
  if (verb === 'revision') sendJson(response, modelInfo(repository, request.query, options.token !== undefined));
  else if (verb === 'tree') sendTree(exchange, repository, path, options.pageSize ?? 1000);
  else if (verb === 'paths-info') sendPathsInfo(exchange, repository);
  else await sendResolved(exchange, repository, path, cdnUrl);
}

/** The repositories whose ids hold the words and whose tags hold the filters; with a token, to its holder only. */
async function sendSearch(
  { request, response }: Exchange,
  repositories: Repositories,
  { token }: HubOptions,
): Promise<void> {
  const { query } = request;
  const search = (query.get('search') ?? '').toLowerCase();
  const found: Record<string, unknown>[] = [];
  for (const id of isAuthorized(request, token) ? await repositories.ids() : []) {
    const repository = await repositories.find(id);
    if (repository === undefined || !id.toLowerCase().includes(search)) continue;
    const { tags, pipeline_tag: task } = facts(repository, token !== undefined);
    const wanted = query.getAll('filter');
    const isWanted =
      wanted.every((tag) => [...tags, task].includes(tag)) && [null, task].includes(query.get('pipeline_tag'));
    if (isWanted) found.push(modelInfo(repository, query, token !== undefined));
  }
  sendJson(response, found.slice(0, Number(query.get('limit') ?? 1000)));
}

function isAuthorized(request: HubRequest, token: string | undefined): boolean {
  return token === undefined || request.authorization === `Bearer ${token}`;
}

/** What the Hub knows of a repository. One that is no whole model counts as a LoRA. */
function facts(repository: Repository, isPrivate: boolean) {
  const isModel = repository.files.some(({ path }) => path === 'model_index.json');
  return {
    sha: repository.sha,
    private: isPrivate,
    gated: false,
    disabled: false,
    downloads: 0,
    likes: 0,
    tags: isModel ? ['diffusers', 'safetensors'] : ['diffusers', 'safetensors', 'lora'],
    pipeline_tag: 'text-to-image',
    library_name: 'diffusers',
    lastModified: repository.lastModified.toISOString(),
    siblings: repository.files.map(({ path }) => ({ rfilename: path })),
  };
}

function modelInfo(repository: Repository, query: URLSearchParams, isPrivate: boolean): Record<string, unknown> {
  const info: Record<string, unknown> = facts(repository, isPrivate);
  // With `expand` the Hub answers with the named fields only.
  const wanted = query.getAll('expand');
  const fields = wanted.length === 0 ? info : Object.fromEntries(wanted.map((name) => [name, info[name]]));
  return { _id: repository.sha.slice(0, 24), id: repository.id, modelId: repository.id, ...fields };
}

function treeEntry(repository: Repository, file: RepositoryFile, expand: boolean): Record<string, unknown> {
  return {
    type: 'file',
    oid: file.oid,
    size: file.size,
    ...(file.lfs === null ? {} : { lfs: file.lfs }),
    path: file.path,
    ...(expand ? { lastCommit: commitOf(repository) } : {}),
  };
}

function commitOf(repository: Repository): Record<string, unknown> {
  return { id: repository.sha, title: 'Upload files', date: repository.lastModified.toISOString() };
}

function sendTree({ request, response }: Exchange, repository: Repository, path: string, pageSize: number): void {
  const prefix = path === '' ? '' : `${path.replace(/\/$/, '')}/`;
  const expand = request.query.get('expand') === 'true';
  const recursive = request.query.get('recursive') === 'true';
  const entries = new Map<string, Record<string, unknown>>();
  for (const file of repository.files.filter((candidate) => candidate.path.startsWith(prefix))) {
    const parts = file.path.slice(prefix.length).split('/');
    const depths = recursive ? parts.length : Math.min(parts.length, 2);
    for (let depth = 1; depth < depths; depth++) {
      const folder = prefix + parts.slice(0, depth).join('/');
      entries.set(folder, { type: 'directory', oid: repository.sha, size: 0, path: folder });
    }
    if (recursive || parts.length === 1) entries.set(file.path, treeEntry(repository, file, expand));
  }
  if (prefix !== '' && entries.size === 0) {
    sendError(response, 404, 'EntryNotFound', `${path} does not exist on "main"`);
    return;
  }
  const start = Number(request.query.get('cursor') ?? 0);
  if (start + pageSize < entries.size) {
    const next = new URLSearchParams(request.query);
    next.set('cursor', String(start + pageSize));
    const host = response.req.headers.host ?? '';
    response.setHeader('Link', `<http://${host}${encodeURI(request.path)}?${next.toString()}>; rel="next"`);
  }
  sendJson(response, [...entries.values()].slice(start, start + pageSize));
}

function sendPathsInfo({ response, body }: Exchange, repository: Repository): void {
  const { paths, expand } = parsePaths(body);
  const found = repository.files.filter(({ path }) => paths.includes(path));
  sendJson(
    response,
    found.map((file) => treeEntry(repository, file, expand)),
  );
}

/** The body of paths-info: JSON as @huggingface/hub sends it, or a form as huggingface_hub does. */
function parsePaths(body: string): { paths: readonly unknown[]; expand: boolean } {
  if (!body.trimStart().startsWith('{')) {
    const form = new URLSearchParams(body);
    return { paths: form.getAll('paths'), expand: form.get('expand')?.toLowerCase() === 'true' };
  }
  const parsed = JSON.parse(body) as { paths?: unknown; expand?: unknown };
  return { paths: Array.isArray(parsed.paths) ? parsed.paths : [parsed.paths], expand: parsed.expand === true };
}

async function sendResolved(exchange: Exchange, repository: Repository, path: string, cdnUrl: string): Promise<void> {
  const { response } = exchange;
  const file = repository.files.find((candidate) => candidate.path === path);
  if (file === undefined) {
    sendError(response, 404, 'EntryNotFound', 'Entry not found');
    return;
  }
  if (file.lfs === null) {
    response.setHeader('ETag', `"${file.oid}"`);
    await sendFile(exchange, file);
    return;
  }
  response.setHeader('X-Linked-Size', file.size);
  response.setHeader('X-Linked-ETag', `"${file.lfs.oid}"`);
  response.setHeader('ETag', `"${file.oid}"`);
  response.setHeader('Location', `${cdnUrl}/cdn/${repository.id}/${file.lfs.oid}`);
  response.writeHead(302, { 'Content-Type': 'text/plain' }).end('Found. Redirecting.');
}

async function answerCdn(exchange: Exchange, repositories: Repositories): Promise<void> {
  const { request, response } = exchange;
  // The signed links of the real CDN reject a request that carries the Hub's credentials too.
  const match = request.authorization === null ? /^\/cdn\/([^/]+\/[^/]+)\/([0-9a-f]{64})$/.exec(request.path) : null;
  const repository = match === null ? undefined : await repositories.find(match[1] ?? '');
  const file = repository?.files.find(({ lfs }) => lfs !== null && lfs.oid === match?.[2]);
  if (file === undefined) {
    response.writeHead(403, { 'Content-Type': 'application/xml' }).end('<Error><Code>AccessDenied</Code></Error>');
    return;
  }
  response.setHeader('ETag', `"${file.lfs?.oid}"`);
  await sendFile(exchange, file);
}

/** Sends a file or the range of it that was asked for, spoilt as the fault says. */
async function sendFile({ request, response, fault }: Exchange, file: RepositoryFile): Promise<void> {
  response.setHeader('Accept-Ranges', 'bytes');
  response.setHeader(
    'Content-Type',
    file.path.endsWith('.json') ? 'text/plain; charset=utf-8' : 'application/octet-stream',
  );
  const range = parseRange(request.range, file.size);
  if (range === 'unsatisfiable') {
    response.setHeader('Content-Range', `bytes */${file.size}`);
    response.writeHead(416).end();
    return;
  }
  const { start, end } = range ?? { start: 0, end: file.size };
  if (range !== null) response.setHeader('Content-Range', `bytes ${start}-${end - 1}/${file.size}`);
  response.setHeader('Content-Length', end - start);
  response.writeHead(range === null ? 200 : 206);
  if (request.method === 'HEAD' || end === start) {
    response.end();
    return;
  }
  const limit = fault?.dropAfterBytes ?? fault?.stallAfterBytes ?? Infinity;
  // A client that leaves half-way is none of the server's business.
  await pipeline(bytesOf(file, start, end, limit, fault?.corruptByte), response, { end: limit === Infinity }).catch(
    () => {},
  );
  if (fault?.dropAfterBytes !== undefined) response.socket?.destroySoon();
}

async function* bytesOf(
  file: RepositoryFile,
  start: number,
  end: number,
  limit: number,
  corruptByte: number | undefined,
): AsyncGenerator<Buffer> {
  if (limit === 0) return;
  let position = start;
  for await (const piece of createReadStream(file.location, { start, end: Math.min(end, start + limit) - 1 })) {
    const chunk = Buffer.from(piece as Buffer);
    const index = corruptByte === undefined ? -1 : corruptByte - position;
    if (index >= 0 && index < chunk.length) chunk[index] = (chunk[index] ?? 0) ^ 0xff;
    position += chunk.length;
    yield chunk;
  }
}

/** The one range of a Range header as [start, end); null for none, or for a form that servers may ignore. */
function parseRange(header: string | null, size: number): { start: number; end: number } | 'unsatisfiable' | null {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? '');
  const [, first = '', last = ''] = match ?? [];
  if (match === null || (first === '' && last === '')) return null;
  const start = first === '' ? Math.max(0, size - Number(last)) : Number(first);
  const end = first === '' || last === '' ? size : Math.min(size, Number(last) + 1);
  return start >= end ? 'unsatisfiable' : { start, end };
}

function sendJson(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { 'Content-Type': 'application/json; charset=utf-8' }).end(JSON.stringify(value));
}

function sendError(response: ServerResponse, status: number, code: string | undefined, message: string): void {
  if (code !== undefined) response.setHeader('X-Error-Code', code);
  response.setHeader('X-Error-Message', message.replace(/[^\x20-\x7e]/g, '?'));
  response
    .writeHead(status, { 'Content-Type': 'application/json; charset=utf-8' })
    .end(JSON.stringify({ error: message }));
}

async function listen(server: Server, port: number): Promise<string> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, HOST, resolve);
  });
  return `http://${HOST}:${(server.address() as AddressInfo).port}`;
}

async function close(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeAllConnections();
  await closed;
}
