import { type Headers, headerValue } from './headers';
import type { CachePolicyConfig } from './policies';

/**
 * How long CloudFront keeps an answer.
 * Source: CloudFront developer guide, "Manage how long content stays in the cache (expiration)", "Control how long
 * CloudFront caches errors", "How CloudFront processes HTTP 4xx and 5xx status codes from your origin".
 */

/** The three bounds of a cache policy, seconds. */
export type TtlBounds = Pick<CachePolicyConfig, 'MinTTL' | 'DefaultTTL' | 'MaxTTL'>;

/** Seconds for which an error is kept when the distribution says nothing of its status. */
const DEFAULT_ERROR_TTL = 10;

const ALWAYS_CACHED_ERRORS = new Set([404, 414, 500, 501, 502, 503, 504]);
const CACHED_WITH_MAX_AGE = new Set([400, 403, 405, 412, 415]);

/** What the origin says of storing; durations in seconds. */
export interface OriginLifetime {
  readonly forbidden: boolean;
  /** From `s-maxage`, `max-age` or `Expires`, in this order. */
  readonly seconds: number | undefined;
  readonly staleWhileRevalidate: number;
  /** `undefined` where the origin does not say: CloudFront then serves a stale object as long as the error lasts. */
  readonly staleIfError: number | undefined;
}

/** Reads `Cache-Control`, `Expires` and `Date` of an answer; `now` in ms since 1970. */
export function originLifetime(headers: Headers, now: number): OriginLifetime {
  const directives = cacheControl(headerValue(headers, 'cache-control') ?? '');
  const forbidden = ['no-cache', 'no-store', 'private'].some((name) => directives.has(name));
  return {
    forbidden,
    seconds: numeric(directives.get('s-maxage')) ?? numeric(directives.get('max-age')) ?? expiresIn(headers, now),
    staleWhileRevalidate: numeric(directives.get('stale-while-revalidate')) ?? 0,
    staleIfError: numeric(directives.get('stale-if-error')),
  };
}

/** Seconds for which a success or redirect is fresh at the POP; 0 means that it is not stored. */
export function successTtl(lifetime: OriginLifetime, bounds: TtlBounds): number {
  if (lifetime.forbidden) return bounds.MinTTL;
  const wanted = lifetime.seconds ?? bounds.DefaultTTL;
  return Math.min(Math.max(wanted, bounds.MinTTL), bounds.MaxTTL);
}

/**
 * Seconds for which an error is kept; 0 means not at all. It does not depend on the cache policy: with caching disabled
 * CloudFront still keeps errors.
 *
 * @param configured `ErrorCachingMinTTL` of the distribution for this status, if it has one
 */
export function errorTtl(status: number, lifetime: OriginLifetime, configured: number | undefined): number {
  const maxAge = lifetime.forbidden ? undefined : lifetime.seconds;
  const always = ALWAYS_CACHED_ERRORS.has(status);
  const conditionally = CACHED_WITH_MAX_AGE.has(status) && (maxAge !== undefined || configured !== undefined);
  if (!always && !conditionally) return 0;
  return Math.max(maxAge ?? 0, configured ?? DEFAULT_ERROR_TTL);
}

function cacheControl(value: string): Map<string, string> {
  const directives = new Map<string, string>();
  for (const part of value.split(',')) {
    const [name = '', argument = ''] = part.split('=', 2);
    directives.set(name.trim().toLowerCase(), argument.trim().replace(/^"(.*)"$/, '$1'));
  }
  return directives;
}

function numeric(value: string | undefined): number | undefined {
  return value !== undefined && /^\d+$/.test(value) ? Number(value) : undefined;
}

/** An unreadable `Expires`, as the customary `0` or `-1`, means already expired (RFC 9111, section 5.3). */
function expiresIn(headers: Headers, now: number): number | undefined {
  const expires = headerValue(headers, 'expires');
  if (expires === undefined) return undefined;
  const date = Date.parse(headerValue(headers, 'date') ?? '');
  const lifetimeMs = Date.parse(expires) - (Number.isNaN(date) ? now : date);
  return Number.isNaN(lifetimeMs) ? 0 : Math.max(0, Math.floor(lifetimeMs / 1000));
}
