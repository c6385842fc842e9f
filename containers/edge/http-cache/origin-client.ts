import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { Agent, type Dispatcher, errors } from 'undici';
import { HOP_BY_HOP_FIELDS } from '../../../lib/core/hop-by-hop';
import { messageOf, ServiceError } from '../errors';
import { type Fields, tokensOf } from './fields';

const HOP_BY_HOP: ReadonlySet<string> = new Set(HOP_BY_HOP_FIELDS);

/** How long an origin may take until its headers, and between parts of its body, ms. */
const ORIGIN_TIMEOUT_MS = 25_000;
/** Bytes that the origin's header fields may have. */
const MAX_HEADER_BYTES = 64 * 1024;

/** A request to the origin. */
export interface OriginRequest {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly headers: Fields;
  readonly body?: Readable | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called for each 1xx response. */
  readonly onInterim?: (status: number, headers: Fields) => void;
}

/** An origin's answer: its end-to-end fields and its body on its way. Times in ms since 1970. */
export interface OriginResponse {
  readonly status: number;
  readonly statusText: string;
  readonly headers: Record<string, string | string[]>;
  readonly body: Dispatcher.ResponseData['body'];
  readonly requestTime: number;
  readonly responseTime: number;
}

/** Asks the HTTP origin, once: what may be tried again is the client's decision. */
export class OriginClient {
  readonly #origin: URL;
  readonly #agent: Agent;
  readonly #clock: () => number;

  /** `timeoutMs` bounds the wait for headers and between parts of a body. */
  constructor(origin: URL, clock: () => number = Date.now, timeoutMs = ORIGIN_TIMEOUT_MS) {
    this.#origin = origin;
    this.#clock = clock;
    this.#agent = new Agent({
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
      maxHeaderSize: MAX_HEADER_BYTES,
      pipelining: 1,
    });
  }

  /** Rejects with a ServiceError (502 or 504) when the origin does not answer, or with the signal's reason. */
  async ask(request: OriginRequest): Promise<OriginResponse> {
    const { method, target, headers, body, signal, onInterim } = request;
    const requestTime = this.#clock();
    try {
      const response = await this.#agent.request({
        origin: this.#origin.origin,
        path: `${this.#origin.pathname.replace(/\/$/, '')}${target}`,
        method: method as Dispatcher.HttpMethod,
        headers: { ...endToEnd(headers), host: this.#origin.host },
        body: body ?? null,
        signal: signal ?? null,
        onInfo: (info) => onInterim?.(info.statusCode, definedFields(info.headers)),
      });
      return {
        status: response.statusCode,
        statusText: response.statusText,
        headers: endToEnd(response.headers),
        body: response.body,
        requestTime,
        responseTime: this.#clock(),
      };
    } catch (error) {
      throw asOriginError(error, signal);
    }
  }

  close(): Promise<void> {
    return this.#agent.destroy();
  }
}

/** The fields of a message that a proxy passes on: none of those of one connection, nor what `Connection` names. */
export function endToEnd(headers: Fields): Record<string, string | string[]> {
  const named = headers.connection === undefined ? undefined : new Set(tokensOf(headers, 'connection'));
  const kept: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || HOP_BY_HOP.has(name) || named?.has(name)) continue;
    kept[name] = typeof value === 'string' ? value : [...value];
  }
  return kept;
}

/** `Via` of a request passed on (RFC 9110, 7.6.3). */
export function viaField(request: IncomingMessage): string {
  const own = `${request.httpVersion} mlcdn-edge`;
  const before = request.headers.via;
  return before === undefined ? own : `${before}, ${own}`;
}

function definedFields(headers: Record<string, string | string[] | undefined>): Fields {
  return headers;
}

function asOriginError(error: unknown, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted) return error;
  if (error instanceof errors.HeadersTimeoutError || error instanceof errors.ConnectTimeoutError) {
    return new ServiceError('origin_timeout', `the origin did not answer in time: ${error.message}`, { cause: error });
  }
  return new ServiceError('origin_unreachable', `the origin did not answer: ${messageOf(error)}`, { cause: error });
}
