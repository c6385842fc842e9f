import type { ServerResponse } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { invalidField, ServiceError } from '../errors';
import type { RunOptions } from '../inference/execution/types';

/** Request header: how long the client waits for its answer, whole ms from the arrival of its request. */
export const TIMEOUT_HEADER = 'x-request-timeout-ms';

/** Longer waits than this are no deadline of a request. */
const MAX_TIMEOUT_MS = 24 * 60 * 60 * 1000;

const WHOLE_NUMBER = /^\d{1,12}$/;

/** Why work was given up: nobody is there to read the answer. */
const CLIENT_GONE = new ServiceError('client_closed_request', 'the client has gone');

/**
 * The deadline that the header sets, on `performance.now()`'s clock; `undefined` without one. `arrived` is when the
 * request came. Throws a ServiceError naming the header.
 */
export function deadlineOfHeader(value: string | string[] | undefined, arrived: number): number | undefined {
  if (value === undefined) return undefined;
  const ms = typeof value === 'string' && WHOLE_NUMBER.test(value) ? Number(value) : 0;
  if (ms > 0 && ms <= MAX_TIMEOUT_MS) return arrived + ms;
  throw invalidField(`header ${TIMEOUT_HEADER}`, `a whole number of milliseconds from 1 to ${MAX_TIMEOUT_MS}`, value);
}

/** How long and by whom the answer to a request is wanted: by its header and, where it says more, `timeoutUs` microseconds. */
export function requestOptions(request: FastifyRequest, reply: FastifyReply, timeoutUs?: number): RunOptions {
  const arrived = performance.now() - reply.elapsedTime;
  const ofHeader = deadlineOfHeader(request.headers[TIMEOUT_HEADER], arrived);
  return runOptions(reply.raw, ofHeader, timeoutUs === undefined ? undefined : arrived + timeoutUs / 1000);
}

/**
 * How long and by whom a run is wanted: until the earliest of the deadlines given, and while the client of `response`
 * is there.
 */
export function runOptions(response: ServerResponse, ...deadlines: readonly (number | undefined)[]): RunOptions {
  const deadline = Math.min(...deadlines.map((each) => each ?? Number.POSITIVE_INFINITY));
  let signal: AbortSignal | undefined;
  return {
    ...(deadline < Number.POSITIVE_INFINITY ? { deadline } : {}),
    // Made when it is first asked for: an answer from the cache needs none.
    get signal() {
      signal ??= goneSignal(response);
      return signal;
    },
  };
}

function goneSignal(response: ServerResponse): AbortSignal {
  if (response.destroyed) return AbortSignal.abort(CLIENT_GONE);
  const controller = new AbortController();
  response.once('close', () => {
    if (!response.writableFinished) controller.abort(CLIENT_GONE);
  });
  return controller.signal;
}
