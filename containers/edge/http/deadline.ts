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
  return runOptions(clientOf(reply.raw), ofHeader, timeoutUs === undefined ? undefined : arrived + timeoutUs / 1000);
}

/** One who waits for an answer. */
export interface Waiting {
  /** Whether it has gone. */
  readonly gone: boolean;
  /** Calls back once, when it goes before it has its answer. */
  whenGone(callback: () => void): void;
}

/** The client of a response. */
export function clientOf(response: ServerResponse): Waiting {
  return {
    get gone() {
      return response.destroyed;
    },
    whenGone(callback) {
      response.once('close', () => {
        if (!response.writableFinished) callback();
      });
    },
  };
}

/** How long and by whom a run is wanted: until the earliest of the deadlines given, and while the client is there. */
export function runOptions(client: Waiting, ...deadlines: readonly (number | undefined)[]): RunOptions {
  const deadline = Math.min(...deadlines.map((each) => each ?? Number.POSITIVE_INFINITY));
  let signal: AbortSignal | undefined;
  return {
    ...(deadline < Number.POSITIVE_INFINITY ? { deadline } : {}),
    // Made when it is first asked for: an answer from the cache needs none.
    get signal() {
      signal ??= goneSignal(client);
      return signal;
    },
  };
}

function goneSignal(client: Waiting): AbortSignal {
  if (client.gone) return AbortSignal.abort(CLIENT_GONE);
  const controller = new AbortController();
  client.whenGone(() => controller.abort(CLIENT_GONE));
  return controller.signal;
}
