import type { ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { CACHE_TAG_HEADER } from '../../../lib/core/tags';
import type { StoredBody } from '../cache/body-store';
import type { CacheLevel } from '../metrics';
import { parseRange } from './byte-range';
import { isNotModified, rangeApplies } from './conditional';
import type { Exchange } from './exchange';
import { type Fields, fieldValue } from './fields';

/** A body ready to be sent. */
export type AnswerBody =
  | { readonly kind: 'bytes'; readonly bytes: Buffer }
  | { readonly kind: 'file'; readonly file: StoredBody }
  /** On its way; `bytes` where its length is known. */
  | { readonly kind: 'stream'; readonly stream: Readable; readonly bytes: number | undefined };

/** A response to a client. */
export interface Answer {
  readonly status: number;
  readonly statusText: string;
  readonly headers: Fields;
  readonly tags: readonly string[];
  readonly body: AnswerBody;
  /** Whole seconds for `Age`; absent: the field stays as the origin sent it. */
  readonly ageSeconds?: number | undefined;
  /** This cache's member of `Cache-Status` (RFC 9211). */
  readonly cacheStatus: string;
  /** Where it comes from, for metrics. */
  readonly level: CacheLevel;
  /** Whether preconditions and ranges are this cache's to apply: not on what is only passed on. */
  readonly evaluates: boolean;
}

/** What has been sent of an answer; its bytes grow until the response is finished. */
export interface Sent {
  readonly level: CacheLevel;
  bytes: number;
}

/** Fields of a 304: what tells the client which stored response is meant, and how it stands now (RFC 9110, 15.4.5). */
const NOT_MODIFIED_FIELDS: ReadonlySet<string> = new Set([
  'cache-control',
  'cdn-cache-control',
  'content-location',
  'date',
  'etag',
  'expires',
  'last-modified',
  'vary',
  CACHE_TAG_HEADER,
]);

/** Statuses whose messages have no body (RFC 9110, 6.4.1). */
function hasNoBody(status: number): boolean {
  return status === 204 || status === 304;
}

/**
 * Sends an answer, or what the request's preconditions and range make of it. Resolves when it has been handed to the
 * socket; a body that breaks off closes the connection, so that no client takes a part for the whole.
 */
export async function sendAnswer(exchange: Exchange, answer: Answer): Promise<void> {
  const { request, response } = exchange;
  const { body } = answer;
  try {
    const sent: Sent = { level: answer.level, bytes: 0 };
    exchange.onAnswer(sent);
    if (answer.evaluates && answer.status === 200) {
      if (isNotModified(request.headers, answer.headers)) return sendNotModified(response, answer);
      if (sendRange(exchange, answer, sent)) return await written(response);
    }
    const length = bodyLength(body);
    writeHead(
      response,
      answer,
      answer.status,
      answer.statusText,
      hasNoBody(answer.status) ? [] : lengthFields(answer, length),
    );
    if (request.method === 'HEAD' || hasNoBody(answer.status)) response.end();
    else sendBody(exchange, body, 0, length, sent);
    await written(response);
  } finally {
    // Also of a client that had gone before its answer began, whose response says so no more.
    exchange.transfers?.end(response);
    releaseBody(body);
  }
}

function sendNotModified(response: ServerResponse, answer: Answer): void {
  const headers: Record<string, string | readonly string[]> = {};
  for (const [name, value] of Object.entries(answer.headers)) {
    if (value !== undefined && NOT_MODIFIED_FIELDS.has(name)) headers[name] = value;
  }
  writeHead(response, { ...answer, headers }, 304, 'Not Modified', []);
  response.end();
}

/** Sends 206 or 416 where the request asks for a range that is to be applied; false where it does not. */
function sendRange(exchange: Exchange, answer: Answer, sent: Sent): boolean {
  const { request, response } = exchange;
  const { body, headers } = answer;
  const asked = fieldValue(request.headers, 'range');
  if (asked === undefined || request.method !== 'GET' || body.kind === 'stream') return false;
  const size = bodyLength(body) ?? 0;
  const range = rangeApplies(request.headers, headers) ? parseRange(asked, size) : undefined;
  if (range === undefined) return false;
  if (range === 'unsatisfiable') {
    const fields = ['content-range', `bytes */${size}`, 'content-length', '0'];
    writeHead(response, { ...answer, headers: {} }, 416, 'Range Not Satisfiable', fields);
    response.end();
    return true;
  }
  const { first, last } = range;
  const fields = ['content-range', `bytes ${first}-${last}/${size}`, 'content-length', String(last - first + 1)];
  writeHead(response, answer, 206, 'Partial Content', fields);
  sendBody(exchange, body, first, last + 1, sent);
  return true;
}

function sendBody(
  { response, transfers }: Exchange,
  body: AnswerBody,
  start: number,
  end: number | undefined,
  sent: Sent,
): void {
  if (body.kind === 'bytes') {
    const bytes = start === 0 && end === body.bytes.length ? body.bytes : body.bytes.subarray(start, end);
    sent.bytes = bytes.length;
    response.end(bytes);
    return;
  }
  const stream = body.kind === 'file' ? body.file.read(start, end) : body.stream;
  stream.on('data', (chunk: Buffer) => {
    sent.bytes += chunk.length;
  });
  stream.once('error', (error) => response.destroy(error));
  transfers?.begin(response);
  response.once('close', () => stream.destroy());
  stream.pipe(response);
}

/** Resolves when the response has been sent or its client has gone. */
async function written(response: ServerResponse): Promise<void> {
  if (!response.writableFinished) await finished(response).catch(() => undefined);
}

/** Lets go of a body, sent or not. */
export function releaseBody(body: AnswerBody): void {
  if (body.kind === 'file') void body.file.close();
  if (body.kind !== 'stream') return;
  // A body let go of before its end says so by an error, which is no news.
  body.stream.on('error', () => undefined);
  body.stream.destroy();
}

function bodyLength(body: AnswerBody): number | undefined {
  if (body.kind === 'bytes') return body.bytes.length;
  return body.kind === 'file' ? body.file.bytes : body.bytes;
}

/** The length as it is, but for a response to HEAD, which states the length of a body that it does not have. */
function lengthFields({ headers, body }: Answer, length: number | undefined): string[] {
  const stated = fieldValue(headers, 'content-length');
  if (body.kind === 'stream' && stated !== undefined) return ['content-length', stated];
  return length === undefined ? [] : ['content-length', String(length)];
}

function writeHead(
  response: ServerResponse,
  answer: Answer,
  status: number,
  statusText: string,
  more: readonly string[],
): void {
  const { headers, ageSeconds, cacheStatus } = answer;
  const own = ['cache-status', withOwnStatus(headers, cacheStatus)];
  const age = ageSeconds === undefined ? fieldValue(headers, 'age') : String(ageSeconds);
  if (age !== undefined) own.push('age', age);
  response.writeHead(status, statusText, [...own, ...flatFields(answer), ...more]);
}

/** `Cache-Status` of a response: what the caches behind said, then this one (RFC 9211, 2). */
export function withOwnStatus(headers: Fields, own: string): string {
  const before = fieldValue(headers, 'cache-status');
  return before === undefined ? own : `${before}, ${own}`;
}

/**
 * Names and values in turn of what a response says, its tags under the one name that CloudFront reads; without its
 * length, `Age` and `Cache-Status`, which depend on how it is sent.
 */
export function flatFields({ headers, tags }: Pick<Answer, 'headers' | 'tags'>): string[] {
  const fields: string[] = [];
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || name === 'content-length' || name === 'age' || name === 'cache-status') continue;
    if (name === CACHE_TAG_HEADER && tags.length > 0) continue;
    if (typeof value === 'string') fields.push(name, value);
    else for (const line of value) fields.push(name, line);
  }
  if (tags.length > 0) fields.push(CACHE_TAG_HEADER, tags.join(','));
  return fields;
}
