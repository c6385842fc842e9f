import { type Directives, seconds } from './cache-control';
import type { ResponseHead } from './stored-response';
import { ageOf } from './stored-response';

/**
 * Whether a stored response may answer: as it is, stale while it is being refreshed, or not before the origin has been
 * asked (RFC 9111, 4.2 and 5.2.1; RFC 5861, 3).
 */
export type Verdict = 'reuse' | 'reuse-and-refresh' | 'ask-origin';

/** Judges a stored response for a request with these cache directives. `now` in ms since 1970. */
export function judge(head: ResponseHead, request: Directives, now: number): Verdict {
  const { lifetime, alwaysRevalidate, neverStale, staleWhileRevalidate } = head.freshness;
  if (alwaysRevalidate || request.has('no-cache')) return 'ask-origin';
  const age = ageOf(head, now);
  const maxAge = seconds(request, 'max-age');
  if (maxAge !== undefined && age > maxAge) return 'ask-origin';
  const minFresh = seconds(request, 'min-fresh');
  if (minFresh !== undefined && lifetime - age < minFresh) return 'ask-origin';

  const staleness = age - lifetime;
  if (staleness < 0) return 'reuse';
  if (!neverStale && staleness <= acceptedStaleness(request)) return 'reuse';
  return staleness < staleWhileRevalidate ? 'reuse-and-refresh' : 'ask-origin';
}

/** Whether a stored response may answer although the origin could not confirm it (RFC 9111, 4.2.4; RFC 5861, 4). */
export function mayAnswerInstead(head: ResponseHead, now: number): boolean {
  const { lifetime, alwaysRevalidate, neverStale, staleIfError } = head.freshness;
  return !alwaysRevalidate && !neverStale && ageOf(head, now) - lifetime < staleIfError;
}

/** Seconds of staleness that the client accepts; without an argument `max-stale` accepts any. */
function acceptedStaleness(request: Directives): number {
  return request.get('max-stale') === true ? Number.POSITIVE_INFINITY : (seconds(request, 'max-stale') ?? -1);
}
