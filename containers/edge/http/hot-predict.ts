import { LIVE_VERSION_HEADER } from '../../../lib/core/channel';
import { CACHE_TAG_HEADER } from '../../../lib/core/tags';
import type { AnswerReceiver, CacheAnswer, CacheEntry, Waiter } from '../cache/types';
import { parseFeatureRow } from '../inference/feature-row';
import type { LoadedModel } from '../inference/loaded-model';
import type { Tensor } from '../inference/tensors';
import { answerLines, isHit, memoryHitStatus, memoryTiming, predictionCacheControl } from './answer-headers';
import { hasBadDeadline, wireWaiter } from './deadline';
import { type HotContext, latin1, OK, sendError } from './hot-answer';
import { JSON_BODY_TYPES, parseJson } from './json-body';
import { type KnownRequest, KnownRequests, type WrittenAnswer } from './known-requests';
import { chooseFor, JSON_TYPE, predictionBody } from './predict-one';
import { type PredictRequest, parsePredictBody, parsePredictQuery, readQuery } from './predict-request';
import { dateLine, fieldLines } from './wire/field-lines';
import type { WireReply, WireRequest } from './wire/types';

/** Bound of each of the two tables of known requests. */
const KNOWN_REQUESTS_BYTES = 32 * 1024 * 1024;

/** How `/predict` is asked by one method. */
interface Method {
  readonly known: KnownRequests;
  /** Reads what `raw`, a character for every byte, asks for. */
  parse(raw: string): PredictRequest;
  cacheControl(ttlSeconds: number, versionIsNamed: boolean): string;
}

/**
 * `/predict` in front of the router. A request whose answer was found in memory before is known by its raw text, and
 * answered again after only asking whether its model still is the one and its entry still valid, in memory or below;
 * any other is read by the same functions as the routes use.
 */
export class HotPredict {
  readonly #hot: HotContext;

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

  constructor(hot: HotContext) {
    this.#hot = hot;
  }

  /** Takes a `POST /predict`, or leaves it and tells so by `false`. */
  takesPost(request: WireRequest, reply: WireReply): boolean {
    const { head, body } = request;
    if (body === '' || body.length > this.#hot.bodyLimit || !JSON_BODY_TYPES.has(head.value('content-type')))
      return false;
    new PredictExchange(this.#hot, this.#post, request, reply, body).answer();
    return true;
  }

  /** Takes a `GET /predict?...`. */
  takesGet(request: WireRequest, reply: WireReply): boolean {
    new PredictExchange(this.#hot, this.#get, request, reply, request.target).answer();
    return true;
  }
}

/** What a request comes to. */
interface Resolved {
  readonly model: LoadedModel;
  readonly versionIsNamed: boolean;
  /** Cache key of the prediction. */
  readonly key: string;
}

/** One request on its way to its answer. */
class PredictExchange implements AnswerReceiver {
  readonly #hot: HotContext;
  readonly #method: Method;
  readonly #request: WireRequest;
  readonly #reply: WireReply;
  /** What tells the request from others: its body or its target. */
  readonly #raw: string;
  readonly #liveVersion: string | undefined;
  #resolved: Resolved | undefined;
  #generation = 0;
  #isKnown = false;
  #release: () => void = () => undefined;

  constructor(hot: HotContext, method: Method, request: WireRequest, reply: WireReply, raw: string) {
    this.#hot = hot;
    this.#method = method;
    this.#request = request;
    this.#reply = reply;
    this.#raw = raw;
    this.#liveVersion = request.head.value(LIVE_VERSION_HEADER);
  }

  answer(): void {
    this.#generation = this.#hot.http.repository.generation();
    const known = this.#method.known.find(this.#raw);
    const isCurrent = known?.generation === this.#generation && known.liveVersion === this.#liveVersion;
    if (known !== undefined && isCurrent && !hasBadDeadline(this.#request) && this.#answersKnown(known)) return;
    try {
      const waiter = wireWaiter(this.#request, this.#reply);
      if (known !== undefined && isCurrent) this.#lookUpKnown(known, waiter);
      else this.#lookUp(waiter);
    } catch (error) {
      this.failed(error);
    }
  }

  answered(answer: CacheAnswer): void {
    this.#release();
    const { model, versionIsNamed } = this.#resolved as Resolved;
    const { http } = this.#hot;
    const body = latin1(predictionBody(http.region, model, answer.body, isHit(answer)));
    const lines = answerLines(answer, this.#method.cacheControl(answer.ttlSeconds, versionIsNamed));
    this.#send(OK + lines + contentLines(body) + dateLine(), body, answer.tier);
    // Only what memory holds: what is asked for once in a while would cost more to remember than to read, and would
    // take the place of what is asked for often.
    if (!this.#isKnown && answer.tier === 'memory' && !answer.stale) this.#remember(body.length + answer.body.length);
  }

  failed(reason: unknown): void {
    this.#release();
    sendError(this.#hot, this.#request, this.#reply, reason);
  }

  #answersKnown(known: KnownRequest): boolean {
    const asked = performance.now();
    const entry = this.#hot.http.predictor.peek(known.key, known.model);
    if (entry === undefined) return false;
    const found = performance.now();
    const answer = this.#writtenFor(known, entry);
    const ttlSeconds = ttlSecondsOf(entry);
    if (ttlSeconds !== answer.ttlSeconds) {
      answer.ttlSeconds = ttlSeconds;
      const cacheControl = this.#method.cacheControl(ttlSeconds, known.versionIsNamed);
      answer.changing = fieldLines(['cache-status', memoryHitStatus(ttlSeconds), 'cache-control', cacheControl]);
    }
    const timing = `server-timing: ${memoryTiming(found - asked)}\r\n`;
    this.#send(OK + answer.changing + timing + answer.fields + dateLine(), answer.body, 'memory');
    return true;
  }

  #writtenFor(known: KnownRequest, entry: CacheEntry): WrittenAnswer {
    if (known.answer !== undefined && known.entry === entry) return known.answer;
    known.entry = entry;
    known.answer = writeAnswer(this.#hot.http.region, known.model, entry);
    return known.answer;
  }

  #lookUpKnown(known: KnownRequest, waiter: Waiter): void {
    const { model, key } = known;
    this.#resolved = known;
    this.#isKnown = true;
    // Gone from memory: kept here, it would not count among what memory holds.
    known.entry = undefined;
    known.answer = undefined;
    this.#release = model.lease();
    const wanted = { key, inputs: () => [this.#rowFor(model)], asText: true };
    this.#hot.http.predictor.deliver(model, wanted, this, waiter);
  }

  #lookUp(waiter: Waiter): void {
    const { http } = this.#hot;
    const wanted = this.#method.parse(this.#raw);
    const { model, versionIsNamed, release } = chooseFor(http, wanted, this.#liveVersion);
    this.#release = release;
    const inputs = [parseFeatureRow(model, wanted.features, 'features')];
    const key = http.predictor.keyOf(model, inputs);
    this.#resolved = { model, versionIsNamed, key };
    http.predictor.deliver(model, { key, inputs: () => inputs, asText: true }, this, waiter);
  }

  #rowFor(model: LoadedModel): Tensor {
    return parseFeatureRow(model, this.#method.parse(this.#raw).features, 'features');
  }

  #remember(answerBytes: number): void {
    const { model, versionIsNamed, key } = this.#resolved as Resolved;
    // A part of a longer text would keep all of it in memory.
    const raw = Buffer.from(this.#raw, 'latin1').toString('latin1');
    const known = { liveVersion: this.#liveVersion, generation: this.#generation, model, versionIsNamed, key };
    this.#method.known.remember(raw, { ...known, answerBytes, entry: undefined, answer: undefined });
  }

  #send(head: string, body: string, level: CacheAnswer['tier']): void {
    this.#reply.send(head, body);
    const seconds = (performance.now() - this.#request.arrived) / 1000;
    this.#hot.http.metrics.observe({ status: 200, level, seconds, bytes: body.length });
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
