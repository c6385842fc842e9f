import type { IncomingMessage, ServerResponse } from 'node:http';
import { canonicalPath, type RoutePolicy } from '../../../lib/core/cache-policy';
import { ServiceError } from '../errors';
import type { Sent } from './answer';
import { type Directives, requestDirectives } from './cache-control';
import type { Transfers } from './transfers';

/** One request on its way through the cache. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Path and query as the client spelled them. */
  readonly target: string;
  /** Cache key: the path in canonical spelling, and the query. */
  readonly key: string;
  readonly policy: RoutePolicy | undefined;
  readonly directives: Directives;
  /** Called just before the answer is written. */
  readonly onAnswer: (sent: Sent) => void;
  /** Told of a body that leaves in parts; absent where nobody asks. */
  readonly transfers: Transfers | undefined;
}

/** Reads what the cache needs of a request. Throws a ServiceError when its target is not a path. */
export function openExchange(
  request: IncomingMessage,
  response: ServerResponse,
  policyOf: (path: string) => RoutePolicy | undefined,
  onAnswer: (sent: Sent) => void,
  transfers?: Transfers,
): Exchange {
  const target = request.url ?? '';
  // Only a path: an absolute URL in the request line must not choose another origin.
  if (!target.startsWith('/')) throw new ServiceError('invalid_request', 'the request target must be a path');
  return {
    request,
    response,
    target,
    key: keyOf(target),
    policy: policyOf(pathOf(target)),
    directives: requestDirectives(request.headers),
    onAnswer,
    transfers,
  };
}

/** The path of a request target. */
export function pathOf(target: string): string {
  const queryAt = target.indexOf('?');
  return queryAt === -1 ? target : target.slice(0, queryAt);
}

/** Cache key of a request target: its path in canonical spelling (RFC 3986, 6.2.2), and its query as it is. */
export function keyOf(target: string): string {
  const queryAt = target.indexOf('?');
  return queryAt === -1 ? canonicalPath(target) : canonicalPath(target.slice(0, queryAt)) + target.slice(queryAt);
}
