import type { FastifyReply, FastifyRequest } from 'fastify';
import { REQUEST_TIMEOUT_HEADER } from '../../../lib/core/request-headers';
import type { Waiter } from '../cache/types';
import { invalidField } from '../errors';
import type { WireReply, WireRequest } from './wire/types';

/** Longer waits than this are no deadline of a request. */
const MAX_TIMEOUT_MS = 24 * 60 * 60 * 1000;

const WHOLE_NUMBER = /^\d{1,12}$/;

/**
 * The deadline that the header sets, on `performance.now()`'s clock; `undefined` without one. `arrived` is when the
 * request came. Throws a ServiceError naming the header.
 */
export function deadlineOfHeader(value: string | string[] | undefined, arrived: number): number | undefined {
  if (value === undefined) return undefined;
  const ms = msOf(value);
  if (ms !== undefined) return arrived + ms;
  throw invalidField(
    `header ${REQUEST_TIMEOUT_HEADER}`,
    `a whole number of milliseconds from 1 to ${MAX_TIMEOUT_MS}`,
    value,
  );
}

function msOf(value: string | string[] | undefined): number | undefined {
  const ms = typeof value === 'string' && WHOLE_NUMBER.test(value) ? Number(value) : 0;
  return ms > 0 && ms <= MAX_TIMEOUT_MS ? ms : undefined;
}

/** How long and by whom the answer to a request is wanted: by its header and, where it says more, `timeoutUs` microseconds. */
export function requestWaiter(request: FastifyRequest, reply: FastifyReply, timeoutUs?: number): Waiter {
  const arrived = performance.now() - reply.elapsedTime;
  const ofHeader = deadlineOfHeader(request.headers[REQUEST_TIMEOUT_HEADER], arrived);
  const { raw: response } = reply;
  return new WaitingClient(
    () => response.destroyed && !response.writableFinished,
    earliest(ofHeader, timeoutUs, arrived),
  );
}

/** Whether a request in front of the router has a deadline that `wireWaiter` would refuse. */
export function hasBadDeadline({ head }: WireRequest): boolean {
  return head.has(REQUEST_TIMEOUT_HEADER) && msOf(head.value(REQUEST_TIMEOUT_HEADER)) === undefined;
}

/** The same as `requestWaiter` for a request in front of the router. */
export function wireWaiter({ head, arrived }: WireRequest, reply: WireReply, timeoutUs?: number): Waiter {
  const ofHeader = deadlineOfHeader(head.value(REQUEST_TIMEOUT_HEADER), arrived);
  return new WaitingClient(() => reply.gone, earliest(ofHeader, timeoutUs, arrived));
}

function earliest(ofHeader: number | undefined, timeoutUs: number | undefined, arrived: number): number {
  const ofParameter = timeoutUs === undefined ? Number.POSITIVE_INFINITY : arrived + timeoutUs / 1000;
  return Math.min(ofHeader ?? Number.POSITIVE_INFINITY, ofParameter);
}

/** A client, asked whether it is still there when it matters: a signal would cost every request a listener. */
class WaitingClient implements Waiter {
  readonly deadline: number;
  readonly #isGone: () => boolean;

  constructor(isGone: () => boolean, deadline: number) {
    this.#isGone = isGone;
    this.deadline = deadline;
  }

  get signal(): this {
    return this;
  }

  get aborted(): boolean {
    return this.#isGone();
  }
}
