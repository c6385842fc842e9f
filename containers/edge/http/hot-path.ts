import { parse as parseQueryString } from 'node:querystring';
import type { FastifyBaseLogger } from 'fastify';
import { LIVE_VERSION_HEADER } from '../../../lib/core/channel';
import { CACHE_TAG_HEADER } from '../../../lib/core/tags';
import type { CacheEntry } from '../cache/types';
import { messageOf, ServiceError } from '../errors';
import type { RunOptions } from '../inference/execution/types';
import type { LoadedModel } from '../inference/loaded-model';
import { answerHeaders, memoryHitStatus, memoryTiming, predictionCacheControl } from './answer-headers';
import type { HttpContext } from './context';
import { deadlineOfHeader, runOptions, TIMEOUT_HEADER } from './deadline';
import { flat, type HotContext, latin1, OK, sendError } from './hot-answer';
import { HotInfer } from './hot-infer';
import { type KnownRequest, KnownRequests, type WrittenAnswer } from './known-requests';
import { JSON_TYPE, type Prediction, predictionBody, predictOne } from './predict-one';
import { type PredictRequest, parsePredictBody, parsePredictQuery } from './predict-request';
import { dateLine, fieldLines } from './wire/field-lines';
import type { WireHandler, WireReply, WireRequest } from './wire/types';

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

/** How `/predict` is asked by one method. */
interface Method {
  readonly known: KnownRequests;
  /** Reads what `raw`, a character for every byte, asks for. */
  parse(raw: string): PredictRequest;
  cacheControl(ttlSeconds: number, versionIsNamed: boolean): string;
}

/** One request in the hands of the hot path. */
interface Exchange {
  readonly method: Method;
  readonly request: WireRequest;
  readonly reply: WireReply;
  /** What tells the request from others: its body or its target. */
  readonly raw: string;
  readonly liveVersion: string | undefined;
}

/** Reads the query of a URL; the router uses this too, so that both read alike. */
export function readQuery(query: string): Record<string, unknown> {
  return parseQueryString(query);
}

/**
 * `/predict`, inference by the open protocol, and what the HTTP cache holds in memory, in front of the router, which
 * costs more than a hit. Says what the routes say: a prediction that was answered from memory before is known by its raw text, and
 * answered again after only asking whether its model still is the one and its entry still valid; any other is answered
 * by the same functions as the routes use.
 */
export class HotPath implements WireHandler {
  readonly #hot: HotContext;
  readonly #context: HttpContext;
  readonly #infer: HotInfer;

  readonly #get: Method = {
    known: new KnownRequests(KNOWN_REQUESTS_BYTES),
    parse: (target) => parsePredictQuery(readQuery(target.slice('/predict?'.length))),
    cacheControl: predictionCacheControl,
  };
  readonly #post: Method = {
    known: new KnownRequests(KNOWN_REQUESTS_BYTES),
    parse: (body) => parsePredictBody(parseJson(utf8(body))),
    cacheControl: () => 'no-store',
  };

  constructor(context: HttpContext, logger: FastifyBaseLogger, bodyLimit: number) {
    this.#context = context;
    this.#hot = { http: context, logger, bodyLimit };
    this.#infer = new HotInfer(this.#hot);
  }

  takes(request: WireRequest, reply: WireReply): boolean {
    const { method, target, head, body } = request;
    // What a field in several lines means, and what is wrong without a Host, the router's side knows.
    if (head.repeats || !head.has('host')) return false;
    if (method === 'POST') {
      return target === '/predict' ? this.#takesPost(request, reply) : this.#infer.takes(request, reply);
    }
    if (method !== 'GET' || body !== '') return false;
    if (!target.startsWith('/predict?')) return this.#takesStored(request, reply);
    const liveVersion = head.value(LIVE_VERSION_HEADER);
    this.#answer({ method: this.#get, request, reply, raw: target, liveVersion });
    return true;
  }

  #takesStored(request: WireRequest, reply: WireReply): boolean {
    const sent = this.#context.httpCache?.memory.answer(request, reply);
    if (sent === undefined) return false;
    const seconds = (performance.now() - request.arrived) / 1000;
    this.#context.metrics.observe({ status: sent.status, bytes: sent.bytes, level: 'memory', seconds });
    return true;
  }

  #takesPost(request: WireRequest, reply: WireReply): boolean {
    const { head, body } = request;
    if (body === '' || body.length > this.#hot.bodyLimit || !BODY_TYPES.has(head.value('content-type'))) return false;
    this.#answer({ method: this.#post, request, reply, raw: body, liveVersion: head.value(LIVE_VERSION_HEADER) });
    return true;
  }

  #answer(exchange: Exchange): void {
    const known = exchange.method.known.find(exchange.raw);
    if (known !== undefined && this.#answersKnown(exchange, known)) return;
    this.#compute(exchange).catch((error: unknown) => sendError(this.#hot, exchange.request, exchange.reply, error));
  }

  #answersKnown({ method, request, reply, liveVersion }: Exchange, known: KnownRequest): boolean {
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
      answer.changing = fieldLines([
        'cache-status',
        memoryHitStatus(ttlSeconds),
        'cache-control',
        method.cacheControl(ttlSeconds, known.versionIsNamed),
      ]);
    }
    reply.send(
      `${OK}${answer.changing}server-timing: ${memoryTiming(found - asked)}\r\n${answer.fields}${dateLine()}`,
      answer.body,
    );
    const seconds = (performance.now() - request.arrived) / 1000;
    this.#context.metrics.observe({ status: 200, level: 'memory', seconds, bytes: answer.body.length });
    return true;
  }

  async #compute(exchange: Exchange): Promise<void> {
    const { method, request, reply, liveVersion } = exchange;
    const generation = this.#context.repository.generation();
    const prediction = await predictOne(
      this.#context,
      method.parse(exchange.raw),
      liveVersion,
      optionsOf(request, reply),
    );
    const { answer, versionIsNamed } = prediction;
    const body = latin1(prediction.text);
    const headers = answerHeaders(answer, method.cacheControl(answer.ttlSeconds, versionIsNamed));
    reply.send(OK + fieldLines(flat(headers)) + contentLines(body) + dateLine(), body);
    const seconds = (performance.now() - request.arrived) / 1000;
    this.#context.metrics.observe({ status: 200, level: answer.tier, seconds, bytes: body.length });
    if (answer.tier === 'memory' && !answer.stale) this.#remember(exchange, prediction, generation);
  }

  /** Only what was asked for twice: a request that never comes again would take the place of one that does. */
  #remember({ method, raw, liveVersion }: Exchange, prediction: Prediction, generation: number): void {
    const { model, row, versionIsNamed } = prediction;
    const key = this.#context.predictor.keyOf(model, [row]);
    const entry = this.#context.predictor.peek(key);
    if (entry === undefined) return;
    const answer = writeAnswer(this.#context.region, model, entry);
    // A part of a longer text would keep all of it in memory.
    const own = Buffer.from(raw, 'latin1').toString('latin1');
    method.known.remember(own, { liveVersion, generation, model, versionIsNamed, key, entry, answer });
  }
}

function optionsOf({ head, arrived }: WireRequest, reply: WireReply): RunOptions {
  return runOptions(reply, deadlineOfHeader(head.value(TIMEOUT_HEADER), arrived));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ServiceError('invalid_json', `the body must be JSON: ${messageOf(error)}`);
  }
}

/** `Cache-Status` and `Cache-Control` change with the age of the entry, `Server-Timing` with every answer. */
function writeAnswer(region: string, model: LoadedModel, entry: CacheEntry): WrittenAnswer {
  const body = latin1(predictionBody(region, model, entry.body, true));
  const fields = fieldLines([CACHE_TAG_HEADER, entry.tags.join(',')]) + contentLines(body);
  return { body, fields, changing: '', ttlSeconds: Number.NaN };
}

function ttlSecondsOf({ storedAt, ttlMs }: CacheEntry): number {
  const ageMs = Math.max(0, Date.now() - storedAt);
  return Math.max(0, Math.ceil((ttlMs - ageMs) / 1000));
}

function contentLines(body: string): string {
  return `content-type: ${JSON_TYPE}\r\ncontent-length: ${body.length}\r\n`;
}

const BEYOND_ASCII = /[\x80-\xff]/;

/** The text that bytes, a character for every one, are in UTF-8. */
function utf8(bytes: string): string {
  return BEYOND_ASCII.test(bytes) ? Buffer.from(bytes, 'latin1').toString() : bytes;
}
