import type { Behavior } from './distribution';
import { type OriginLifetime, originLifetime, successTtl } from './freshness';
import { type Headers, headerValue } from './headers';
import type { OriginRequest } from './origin-request';
import type { StoredObject } from './pop-cache';

/** The request to the origin that lets it confirm a stored object instead of sending it again. */
export function withConditions(request: OriginRequest, stored: StoredObject): OriginRequest {
  const headers: Headers = new Map(request.headers);
  const modified = headerValue(stored.headers, 'last-modified');
  if (stored.originEtag !== undefined) headers.set('if-none-match', [stored.originEtag]);
  if (modified !== undefined) headers.set('if-modified-since', [modified]);
  return { ...request, headers };
}

/** Fields of a body that a 304 does not describe; the stored ones hold. */
const BODY_HEADERS = ['content-length', 'content-encoding', 'content-type', 'content-range', 'etag', 'vary'];

/** A stored object with the fields and lifetime of the 304 that confirmed it (RFC 9111, section 4.3.4). */
export function confirmed(
  stored: StoredObject,
  answer: Headers,
  behavior: Behavior,
  lifetime: OriginLifetime,
  now: number,
): StoredObject {
  const headers: Headers = new Map(stored.headers);
  for (const [name, values] of answer) if (!BODY_HEADERS.includes(name)) headers.set(name, values);
  const said = originLifetime(headers, now);
  const effective = lifetime.seconds === undefined && !lifetime.forbidden ? said : lifetime;
  return {
    ...stored,
    headers,
    storedAt: now,
    initialAgeMs: ageOf(answer) * 1000,
    freshUntil: now + successTtl(effective, behavior.cachePolicy) * 1000,
  };
}

/** The origin is itself a cache: what an answer has aged there is gone from its lifetime (RFC 9111, section 4.2.3). */
export function ageAdjusted(lifetime: OriginLifetime, headers: Headers): OriginLifetime {
  if (lifetime.seconds === undefined) return lifetime;
  return { ...lifetime, seconds: Math.max(0, lifetime.seconds - ageOf(headers)) };
}

/** Seconds that an answer had spent in caches before it came. */
export function ageOf(headers: Headers): number {
  return numberOf(headerValue(headers, 'age')) ?? 0;
}

/** A field of digits alone as a number; `undefined` for any other. */
export function numberOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
}
