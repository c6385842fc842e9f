import type { ServerResponse } from 'node:http';
import { canonicalPath } from '../../../lib/core/cache-policy';
import type { EdgeCache, FillTicket } from '../cache/types';
import { messageOf, ServiceError } from '../errors';
import { sendAnswer } from './answer';
import { governingDirectives } from './cache-control';
import { type ForwardReason, forwardStatus } from './cache-status';
import { tagsOf } from './cache-tags';
import type { Exchange } from './exchange';
import { type Fields, fieldValue } from './fields';
import { type Candidate, type FillContext, type FillRequest, receive, store } from './fill';
import { hasValidator, statedLifetime } from './freshness';
import { endToEnd, type OriginResponse, viaField } from './origin-client';
import { partOf } from './part';
import { confirmedHead, headToStore } from './response-head';
import { variantListKeptForMs } from './variant-list';

/** Methods that do not change the origin (RFC 9110, 9.2.1). */
const SAFE_METHODS: readonly string[] = ['GET', 'HEAD', 'OPTIONS', 'TRACE'];
/** Parts up to this are stored, bytes. */
const MAX_PART_BYTES = 256 * 1024;

/** What goes to the origin for one client alone, and what the cache learns from it. */
export class Forwarder {
  readonly #cache: EdgeCache;
  readonly #context: FillContext;

  constructor(cache: EdgeCache, context: FillContext) {
    this.#cache = cache;
    this.#context = context;
  }

  /** Passes a GET or HEAD on that no cache may answer. */
  async pass(exchange: Exchange, reason: ForwardReason): Promise<void> {
    await this.send(exchange, await this.#ask(exchange), reason);
  }

  /** Passes a request of any other method on; one that may have changed the origin invalidates (RFC 9111, 4.4). */
  async passMethod(exchange: Exchange): Promise<void> {
    const { request, key } = exchange;
    const isUnsafe = !SAFE_METHODS.includes(String(request.method));
    const ticket = this.#cache.beginFill(key);
    const response = await this.#ask(exchange);
    if (!isUnsafe || response.status < 200 || response.status >= 400) {
      return this.send(exchange, response, 'method');
    }
    const nothingElseHappened = ticket.isCurrent();
    this.#cache.invalidateKeys(changedKeys(exchange, response.headers));
    if (!nothingElseHappened || !(await this.#sendStoringForGet(exchange, response))) {
      await this.send(exchange, response, 'method');
    }
  }

  /** Passes a HEAD on, and takes what it says of the stored response to GET (RFC 9111, 4.3.5). */
  async passHead(exchange: Exchange, stored: Candidate | undefined, ticket: FillTicket): Promise<void> {
    const { policy, key } = exchange;
    const response = await this.#ask(exchange);
    if (stored && !stored.head.part && response.status === 200) {
      const isSame = isSameRepresentation(stored.head.headers, response.headers);
      if (!isSame) this.#cache.invalidateKeys([key]);
      const confirmed = isSame && confirmedHead(stored.head, response, policy, isAuthorized(exchange));
      if (confirmed) store(this.#fillRequest(exchange, ticket), confirmed, stored.inlineBody);
    }
    await this.send(exchange, response, stored ? 'stale' : 'uri-miss');
  }

  /** Passes a request for a range on, and stores the part, or the whole if the origin sends that. */
  async passRange(exchange: Exchange, ticket: FillTicket): Promise<void> {
    const { request, policy } = exchange;
    const response = await this.#ask(exchange);
    const head = headToStore(response, policy, isAuthorized(exchange));
    const fillRequest = this.#fillRequest(exchange, ticket);
    if (head && response.status === 200) {
      return this.#sendReceived(exchange, fillRequest, response, head, 'uri-miss');
    }
    const asked = fieldValue(request.headers, 'range') ?? '';
    const part = head && response.status === 206 ? partOf(response.headers, asked) : undefined;
    const size = part ? part.last - part.first + 1 : Number.POSITIVE_INFINITY;
    if (!head || !part || size > Math.min(MAX_PART_BYTES, policy?.maxBytes ?? MAX_PART_BYTES)) {
      return this.send(exchange, response, 'partial');
    }
    // A part of this size is read whole before it is sent, so that none is stored that broke off.
    const bytes = await wholeBody(response, size);
    const mayStore = bytes.length === size && response.headers.vary === undefined;
    const stored = mayStore && store(fillRequest, { ...head, part, bodyBytes: size }, bytes);
    await sendAnswer(exchange, {
      ...head,
      headers: response.headers,
      body: { kind: 'bytes', bytes },
      cacheStatus: forwardStatus('partial', 206, { stored }),
      level: 'origin',
      evaluates: false,
    });
  }

  /** Sends a response of the origin as it is. */
  async send(exchange: Exchange, response: OriginResponse, reason: ForwardReason): Promise<void> {
    const { status, statusText, headers, body } = response;
    await sendAnswer(exchange, {
      status,
      statusText,
      headers,
      tags: tagsOf(headers, exchange.policy?.tags),
      body: { kind: 'stream', stream: body, bytes: undefined },
      cacheStatus: forwardStatus(reason, status),
      level: 'origin',
      evaluates: false,
    });
  }

  #ask({ request, response, target }: Exchange): Promise<OriginResponse> {
    return this.#context.origin.ask({
      method: String(request.method),
      target,
      headers: { ...endToEnd(request.headers), via: viaField(request) },
      body: hasBody(request.headers) ? request : undefined,
      signal: clientGone(response),
    });
  }

  /** A response to POST that says it is the resource itself may answer later GETs (RFC 9110, 9.3.3). */
  async #sendStoringForGet(exchange: Exchange, response: OriginResponse): Promise<boolean> {
    const { request, key, policy } = exchange;
    if (request.method !== 'POST' || response.status !== 200) return false;
    if (keyOfLocation(exchange, fieldValue(response.headers, 'content-location')) !== key) return false;
    if (statedLifetime(response, governingDirectives(response.headers)) === undefined) return false;
    const head = headToStore(response, policy, isAuthorized(exchange));
    if (!head) return false;
    // Taken anew: the invalidation that this very request caused is not to hit what it brought.
    const fillRequest = this.#fillRequest(exchange, this.#cache.beginFill(key));
    await this.#sendReceived(exchange, fillRequest, response, head, 'method');
    return true;
  }

  async #sendReceived(
    exchange: Exchange,
    fillRequest: FillRequest,
    response: OriginResponse,
    head: Parameters<typeof receive>[3],
    reason: ForwardReason,
  ): Promise<void> {
    const arrival = receive(this.#context, fillRequest, response, head);
    const body = arrival.kind === 'stored' ? await arrival.open() : undefined;
    if (!body) throw new Error('the body of a response that has just begun cannot be read');
    await sendAnswer(exchange, {
      ...head,
      headers: response.headers,
      body,
      cacheStatus: forwardStatus(reason, response.status, { stored: true }),
      level: 'origin',
      evaluates: false,
    });
  }

  #fillRequest(exchange: Exchange, ticket: FillTicket): FillRequest {
    const { target, request, policy, key } = exchange;
    const authorized = isAuthorized(exchange);
    return {
      target,
      headers: request.headers,
      authorized,
      policy,
      candidate: undefined,
      ticket,
      variantListKeptForMs: () => variantListKeptForMs(this.#cache, key, this.#context.clock),
    };
  }
}

/** The keys that an unsafe request may have changed: its target and, at this host, where it says the result is. */
function changedKeys(exchange: Exchange, headers: Fields): string[] {
  const locations = ['location', 'content-location'].map((name) => keyOfLocation(exchange, fieldValue(headers, name)));
  return [...new Set([exchange.key, ...locations.filter((key) => key !== undefined)])];
}

function keyOfLocation({ request, target }: Exchange, location: string | undefined): string | undefined {
  const here = `http://${request.headers.host ?? 'localhost'}`;
  if (location === undefined || !URL.canParse(location, here + target)) return undefined;
  const url = new URL(location, here + target);
  return url.host === new URL(here).host ? canonicalPath(url.pathname) + url.search : undefined;
}

/** Whether a response to HEAD speaks of the stored representation (RFC 9111, 4.3.5). */
function isSameRepresentation(stored: Fields, current: Fields): boolean {
  const isSame = (name: string) =>
    current[name] === undefined || fieldValue(current, name) === fieldValue(stored, name);
  return (hasValidator(stored) || !hasValidator(current)) && ['etag', 'last-modified', 'content-length'].every(isSame);
}

function isAuthorized({ request }: Exchange): boolean {
  return request.headers.authorization !== undefined;
}

/** Reads a body of at most `maxBytes`. Throws a ServiceError when it breaks off or is longer. */
async function wholeBody(response: OriginResponse, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of response.body as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > maxBytes) throw new Error(`it is longer than the ${maxBytes} bytes that its Content-Range says`);
      chunks.push(chunk);
    }
  } catch (error) {
    throw new ServiceError('origin_unreachable', `the origin's body: ${messageOf(error)}`, { cause: error });
  }
  return Buffer.concat(chunks);
}

/** Whether a request has a body, by its fields (RFC 9112, 6). */
export function hasBody(headers: Fields): boolean {
  return headers['transfer-encoding'] !== undefined || Number(fieldValue(headers, 'content-length') ?? 0) > 0;
}

/** Aborts when the client has gone before its answer was complete. */
function clientGone(response: ServerResponse): AbortSignal {
  const controller = new AbortController();
  response.once('close', () => {
    if (!response.writableFinished) controller.abort();
  });
  return controller.signal;
}
