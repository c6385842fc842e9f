import type { IncomingMessage, ServerResponse } from 'node:http';
import { parse as parseQueryString } from 'node:querystring';
import type { FastifyBaseLogger } from 'fastify';
import { LIVE_VERSION_HEADER } from '../../../lib/core/channel';
import { CACHE_TAG_HEADER } from '../../../lib/core/tags';
import type { CacheEntry } from '../cache/types';
import { messageOf, ServiceError } from '../errors';
import type { LoadedModel } from '../inference/loaded-model';
import { answerHeaders, memoryHitStatus, memoryTiming, predictionCacheControl } from './answer-headers';
import type { HttpContext } from './context';
import { asServiceError, errorAnswer } from './error-answer';
import { type KnownRequest, KnownRequests, type WrittenAnswer } from './known-requests';
import { JSON_TYPE, type Prediction, predictionBody, predictOne } from './predict-one';
import { type PredictRequest, parsePredictBody, parsePredictQuery } from './predict-request';

/** Larger bodies are the router's: reading them costs so much that its share is small. */
const MAX_BODY_BYTES = 64 * 1024;

/** Bound of each of the two tables of known requests. */
const KNOWN_REQUESTS_BYTES = 32 * 1024 * 1024;

/** Types whose bodies the router reads as JSON too; what else it accepts or refuses is its own business. */
const BODY_TYPES: ReadonlySet<string | undefined> = new Set([
  undefined,
  'application/json',
  'application/json; charset=utf-8',
  'application/json;charset=utf-8',
  'application/json;charset=UTF-8',
  'application/x-www-form-urlencoded',
]);

/** Answers what it can answer completely. */
export interface HotPath {
  /** Takes the request, or leaves it untouched and tells so by `false`. */
  takes(request: IncomingMessage, response: ServerResponse): boolean;
  /** Takes nothing from now on; answers still due close their connections. */
  stop(): void;
}

/** How `/predict` is asked by one method. */
interface Method {
  readonly known: KnownRequests;
  parse(raw: Buffer | string): PredictRequest;
  cacheControl(ttlSeconds: number, versionIsNamed: boolean): string;
}

/** One request in the hands of the hot path. */
interface Exchange {
  readonly method: Method;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly liveVersion: string | undefined;
  /** `performance.now()` at its arrival. */
  readonly arrived: number;
}

/** Reads the query of a URL; the router uses this too, so that both read alike. */
export function readQuery(query: string): Record<string, unknown> {
  return parseQueryString(query);
}

/**
 * `POST` and `GET /predict` in front of the router, which costs more than a hit. Says what the routes say: a request
 * that was answered from memory before is known by its raw text, and answered again after only asking whether its model
 * still is the one and its entry still valid; any other is answered by the same functions as the routes use.
 */
export function createHotPath(context: HttpContext, logger: FastifyBaseLogger, bodyLimit: number): HotPath {
  return new PredictionHotPath(context, logger, bodyLimit);
}

class PredictionHotPath implements HotPath {
  readonly #context: HttpContext;
  readonly #logger: FastifyBaseLogger;
  readonly #bodyLimit: number;
  #stopped = false;

  readonly #get: Method = {
    known: new KnownRequests(KNOWN_REQUESTS_BYTES),
    parse: (url) => parsePredictQuery(readQuery(String(url).slice('/predict?'.length))),
    cacheControl: predictionCacheControl,
  };
  readonly #post: Method = {
    known: new KnownRequests(KNOWN_REQUESTS_BYTES),
    parse: (body) => parsePredictBody(parseJson(String(body))),
    cacheControl: () => 'no-store',
  };

  constructor(context: HttpContext, logger: FastifyBaseLogger, bodyLimit: number) {
    this.#context = context;
    this.#logger = logger;
    this.#bodyLimit = bodyLimit;
  }

  stop(): void {
    this.#stopped = true;
  }

  takes(request: IncomingMessage, response: ServerResponse): boolean {
    if (this.#stopped) return false;
    const { method, url = '' } = request;
    if (method === 'POST' && url === '/predict') return this.#takesPost(request, response);
    if (method === 'GET' && url.startsWith('/predict?')) return this.#takesGet(request, response, url);
    return this.#takesStored(request, response);
  }

  #takesStored(request: IncomingMessage, response: ServerResponse): boolean {
    const arrived = performance.now();
    const sent = this.#context.httpCache?.memory.answer(request, response);
    if (sent === undefined) return false;
    this.#context.metrics.observe({ ...sent, level: 'memory', seconds: (performance.now() - arrived) / 1000 });
    return true;
  }

  #takesPost(request: IncomingMessage, response: ServerResponse): boolean {
    const { headers } = request;
    const length = Number(headers['content-length']);
    if (!(length > 0 && length <= MAX_BODY_BYTES) || !BODY_TYPES.has(headers['content-type'])) return false;
    if (headers.expect !== undefined) return false;
    const exchange = exchangeOf(this.#post, request, response);
    if (exchange === undefined) return false;
    readBody(request, (body) => this.#answer(exchange, body.toString('latin1'), body));
    return true;
  }

  #takesGet(request: IncomingMessage, response: ServerResponse, url: string): boolean {
    const { headers } = request;
    if (headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined) return false;
    const exchange = exchangeOf(this.#get, request, response);
    if (exchange === undefined) return false;
    this.#answer(exchange, url, url);
    return true;
  }

  #answer(exchange: Exchange, raw: string, text: Buffer | string): void {
    const known = exchange.method.known.find(raw);
    if (known !== undefined && this.#answersKnown(exchange, known)) return;
    this.#compute(exchange, raw, text).catch((error: unknown) => this.#fail(exchange, error));
  }

  #answersKnown(exchange: Exchange, known: KnownRequest): boolean {
    const { method, liveVersion, arrived } = exchange;
    if (known.generation !== this.#context.repository.generation() || known.liveVersion !== liveVersion) return false;
    const asked = performance.now();
    const entry = this.#context.predictor.peek(known.key);
    if (entry === undefined) return false;
    const found = performance.now();
    if (entry !== known.entry) {
      known.entry = entry;
      known.answer = writeAnswer(this.#context.region, known.model, entry);
    }
    const { answer } = known;
    const ttlSeconds = ttlSecondsOf(entry);
    if (ttlSeconds !== answer.ttlSeconds) {
      answer.ttlSeconds = ttlSeconds;
      answer.headers[1] = memoryHitStatus(ttlSeconds);
      answer.headers[3] = method.cacheControl(ttlSeconds, known.versionIsNamed);
    }
    answer.headers[5] = memoryTiming(found - asked);
    this.#send(exchange.response, 200, answer.headers, answer);
    const seconds = (performance.now() - arrived) / 1000;
    this.#context.metrics.observe({ status: 200, level: 'memory', seconds, bytes: answer.bytes });
    return true;
  }

  async #compute(exchange: Exchange, raw: string, text: Buffer | string): Promise<void> {
    const { method, liveVersion, response, arrived } = exchange;
    const generation = this.#context.repository.generation();
    const prediction = await predictOne(this.#context, method.parse(text), liveVersion);
    const { answer, versionIsNamed } = prediction;
    const body = written(prediction.text);
    const headers = flat(answerHeaders(answer, method.cacheControl(answer.ttlSeconds, versionIsNamed)));
    headers.push(...contentHeaders(body.bytes));
    this.#send(response, 200, headers, body);
    const seconds = (performance.now() - arrived) / 1000;
    this.#context.metrics.observe({ status: 200, level: answer.tier, seconds, bytes: body.bytes });
    if (answer.tier === 'memory' && !answer.stale) this.#remember(exchange, raw, prediction, generation);
  }

  /** Only what was asked for twice: a request that never comes again would take the place of one that does. */
  #remember({ method, liveVersion }: Exchange, raw: string, prediction: Prediction, generation: number): void {
    const { model, row, versionIsNamed } = prediction;
    const key = this.#context.predictor.keyOf(model, [row]);
    const entry = this.#context.predictor.peek(key);
    if (entry === undefined) return;
    const answer = writeAnswer(this.#context.region, model, entry);
    method.known.remember(raw, { liveVersion, generation, model, versionIsNamed, key, entry, answer });
  }

  #fail({ request, response, arrived }: Exchange, thrown: unknown): void {
    const url = request.url ?? '';
    if (response.headersSent) {
      this.#logger.error({ err: thrown, url }, 'failed after the answer');
      return;
    }
    const error = asServiceError(thrown, this.#bodyLimit);
    if (error.status >= 500) this.#logger.error({ err: thrown, url }, error.message);
    const answer = errorAnswer(error, url);
    const body = written(answer.body);
    this.#send(response, answer.status, flat({ ...answer.headers, 'content-length': String(body.bytes) }), body);
    const seconds = (performance.now() - arrived) / 1000;
    this.#context.metrics.observe({ status: answer.status, level: 'none', seconds, bytes: body.bytes });
  }

  #send(response: ServerResponse, status: number, headers: string[], body: WrittenBody): void {
    if (this.#stopped) response.shouldKeepAlive = false;
    response.writeHead(status, headers);
    const { socket } = response;
    if (socket === null || !body.isAscii) {
      response.end(body.text);
      return;
    }
    // Node joins head and body when the body is text, and Latin-1 is the quickest to write. `end(text)` would follow it
    // by an empty write in the same `writev`; corked here, there is one plain write.
    socket.cork();
    response.write(body.text, 'latin1');
    socket.uncork();
    response.end();
  }
}

type WrittenBody = Pick<WrittenAnswer, 'text' | 'bytes' | 'isAscii'>;

/** `undefined` where a header is there that would have to be understood. */
function exchangeOf(method: Method, request: IncomingMessage, response: ServerResponse): Exchange | undefined {
  const liveVersion = request.headers[LIVE_VERSION_HEADER];
  if (Array.isArray(liveVersion)) return undefined;
  return { method, request, response, liveVersion, arrived: performance.now() };
}

/** Calls `done` with the body once all of it is there; never, when the client goes away before. */
function readBody(request: IncomingMessage, done: (body: Buffer) => void): void {
  let first: Buffer | undefined;
  let parts: Buffer[] | undefined;
  request.on('data', (chunk: Buffer) => {
    if (first === undefined) {
      first = chunk;
    } else {
      parts ??= [first];
      parts.push(chunk);
    }
  });
  // Answering at the last piece already would make Node clean up behind a request that has not ended: it costs more.
  request.on('end', () => {
    if (first !== undefined) done(parts === undefined ? first : Buffer.concat(parts));
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ServiceError('invalid_json', `the body must be JSON: ${messageOf(error)}`);
  }
}

/** Cache-Status, Cache-Control and Server-Timing, at 1, 3 and 5, are set anew for every answer. */
function writeAnswer(region: string, model: LoadedModel, entry: CacheEntry): WrittenAnswer {
  const body = written(predictionBody(region, model, entry.body, true));
  const headers = ['cache-status', '', 'cache-control', '', 'server-timing', ''];
  headers.push(CACHE_TAG_HEADER, entry.tags.join(','), ...contentHeaders(body.bytes));
  return { ...body, headers, ttlSeconds: Number.NaN };
}

function ttlSecondsOf({ storedAt, ttlMs }: CacheEntry): number {
  const ageMs = Math.max(0, Date.now() - storedAt);
  return Math.max(0, Math.ceil((ttlMs - ageMs) / 1000));
}

function contentHeaders(bytes: number): [string, string, string, string] {
  return ['content-type', JSON_TYPE, 'content-length', String(bytes)];
}

function written(text: string): WrittenBody {
  const bytes = Buffer.byteLength(text);
  return { text, bytes, isAscii: bytes === text.length };
}

function flat(headers: Readonly<Record<string, string>>): string[] {
  const pairs: string[] = [];
  for (const name in headers) pairs.push(name, headers[name] ?? '');
  return pairs;
}
