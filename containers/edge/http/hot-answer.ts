import { STATUS_CODES } from 'node:http';
import type { FastifyBaseLogger } from 'fastify';
import type { HttpContext } from './context';
import { asServiceError, errorAnswer } from './error-answer';
import { dateLine, fieldLines } from './wire/field-lines';
import type { WireReply, WireRequest } from './wire/types';

/** Status line of a success. */
export const OK = 'HTTP/1.1 200 OK\r\n';

/** What answers in front of the router work with. */
export interface HotContext {
  readonly http: HttpContext;
  readonly logger: FastifyBaseLogger;
  /** Largest request body, bytes. */
  readonly bodyLimit: number;
}

/** A character for every byte of the text in UTF-8: what it is to be written as. */
export function latin1(text: string): string {
  return Buffer.byteLength(text) === text.length ? text : Buffer.from(text).toString('latin1');
}

/** Names and values in turn. */
export function flat(headers: Readonly<Record<string, string>>): string[] {
  const pairs: string[] = [];
  for (const name in headers) pairs.push(name, headers[name] ?? '');
  return pairs;
}

/** Sends an error as the router would, and counts it. */
export function sendError(
  { http, logger, bodyLimit }: HotContext,
  request: WireRequest,
  reply: WireReply,
  thrown: unknown,
): void {
  const url = request.target;
  const error = asServiceError(thrown, bodyLimit);
  if (error.status >= 500) logger.error({ err: thrown, url }, error.message);
  const { status, headers, body: text } = errorAnswer(error, url);
  const { connection, ...others } = headers;
  const body = latin1(text);
  const fields = [...flat(others), 'content-length', String(body.length)];
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Error'}\r\n${fieldLines(fields)}${dateLine()}`;
  reply.send(head, body, connection === 'close');
  const seconds = (performance.now() - request.arrived) / 1000;
  http.metrics.observe({ status, level: 'none', seconds, bytes: body.length });
}
