import type { RoutePolicy } from '../../../lib/core/cache-policy';
import type { Filled } from '../cache/types';
import { type Governing, governingDirectives, qualifiedFields } from './cache-control';
import { tagsOf } from './cache-tags';
import type { Fields } from './fields';
import { freshnessOf, hasValidator, isStorable, type Received, statesStaleIfError } from './freshness';
import { type BodyPlace, encodeResponse, type ResponseHead } from './stored-response';

/** How long a response that can be revalidated is kept past its freshness, seconds. */
const REVALIDATION_SECONDS = 86_400;

const UNKNOWN_PLACE: BodyPlace = { kind: 'inline' };

/** Fields of a 304 that say nothing of the stored body they confirm (RFC 9111, 3.2). */
const NOT_UPDATED: ReadonlySet<string> = new Set([
  'content-length',
  'content-encoding',
  'content-type',
  'content-range',
  'age',
]);

/** A response with its end-to-end fields, as `OriginClient` gives it. */
export interface ReceivedResponse extends Received {
  readonly statusText: string;
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
}

/**
 * What is to be stored of a response, its body aside, with the `Date` that it lacks (RFC 9110, 6.6.1); `undefined` when it must not be. `authorized`: the request had
 * `Authorization`. `random` in [0, 1) decides on the jitter of its lifetime.
 */
export function headToStore(
  response: ReceivedResponse,
  policy: RoutePolicy | undefined,
  authorized: boolean,
  random: () => number = Math.random,
): ResponseHead | undefined {
  const governing = governingDirectives(response.headers);
  if (policy?.cache === false || !isStorable(response, governing, authorized, policy)) return undefined;
  const freshness = freshnessOf(response, governing, policy);
  return {
    status: response.status,
    statusText: response.statusText,
    headers: { date: new Date(response.responseTime).toUTCString(), ...storedFields(response.headers, governing) },
    responseTime: response.responseTime,
    freshness: { ...freshness, lifetime: freshness.lifetime * (1 - (policy?.ttlJitter ?? 0) * random()) },
    staleOnServerError: statesStaleIfError(governing, policy),
    tags: tagsOf(response.headers, policy?.tags),
    bodyBytes: 0,
    bodyPlace: UNKNOWN_PLACE,
  };
}

/**
 * A stored response that a 304, or a 200 to HEAD, has confirmed: its fields replaced by those that came, and fresh by
 * what they say (RFC 9111, 3.2 and 4.3.4). Its body stays where it is.
 */
export function confirmedHead(
  stored: ResponseHead,
  confirmation: ReceivedResponse,
  policy: RoutePolicy | undefined,
  authorized: boolean,
): ResponseHead | undefined {
  const updates = Object.entries(confirmation.headers).filter(([name]) => !NOT_UPDATED.has(name));
  // Both tell when a message was made: those of the stored one say nothing of its confirmation.
  const { age: _oldAge, date: _oldDate, ...kept } = stored.headers;
  const { age } = confirmation.headers;
  const headers = { ...kept, ...Object.fromEntries(updates), ...(age === undefined ? {} : { age }) };
  const { status, statusText } = stored;
  const head = headToStore({ ...confirmation, status, statusText, headers }, policy, authorized);
  return head && { ...head, bodyBytes: stored.bodyBytes, bodyPlace: stored.bodyPlace };
}

/** The entry for a stored response; with `ttlMs` 0 and nothing to keep it for, the cache will not store it. */
export function entryFor(head: ResponseHead, inlineBody: Buffer): Filled {
  const { lifetime, initialAge, staleWhileRevalidate, staleIfError } = head.freshness;
  const keptSeconds = Math.max(staleIfError, hasValidator(head.headers) ? REVALIDATION_SECONDS : 0);
  return {
    body: encodeResponse(head, inlineBody),
    tags: head.tags,
    ttlMs: Math.max(0, lifetime - initialAge) * 1000,
    staleWhileRevalidateMs: staleWhileRevalidate * 1000,
    staleIfErrorMs: keptSeconds * 1000,
  };
}

/** Leaves out what qualified `no-cache` and `private` list (RFC 9111, 5.2.2.4 and 5.2.2.7). */
function storedFields(headers: Fields, { directives }: Governing): ResponseHead['headers'] {
  const excluded = new Set([...qualifiedFields(directives, 'no-cache'), ...qualifiedFields(directives, 'private')]);
  const stored: Record<string, string | readonly string[]> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined && !excluded.has(name)) stored[name] = value;
  }
  return stored;
}
