import { type Directives, type Governing, isUnqualified, MAX_DELTA_SECONDS, seconds } from './cache-control';
import { type Fields, fieldValue, linesOf, tokensOf } from './fields';
import { parseHttpDate } from './http-date';

/** How long and under which conditions a response may be reused. Durations in seconds. */
export interface Freshness {
  readonly lifetime: number;
  /** Age when the response was received: `corrected_initial_age` of RFC 9111, 4.2.3. */
  readonly initialAge: number;
  /** Never to be used without asking the origin (unqualified `no-cache`). */
  readonly alwaysRevalidate: boolean;
  /** Never to be used stale (`must-revalidate`, `proxy-revalidate`, `s-maxage`). */
  readonly neverStale: boolean;
  readonly staleWhileRevalidate: number;
  /** Also the bound of answering while the origin is out of reach. */
  readonly staleIfError: number;
}

/** What a route gives responses that state nothing themselves. Seconds; see `lib/core/cache-policy.ts`. */
export interface FreshnessDefaults {
  readonly defaultTtlSeconds?: number | undefined;
  readonly maxTtlSeconds?: number | undefined;
  readonly negativeTtlSeconds?: number | undefined;
  readonly staleWhileRevalidateSeconds?: number | undefined;
  readonly staleIfErrorSeconds?: number | undefined;
}

/** A response as the rules below look at it. Times in ms since 1970. */
export interface Received {
  readonly status: number;
  readonly headers: Fields;
  readonly requestTime: number;
  readonly responseTime: number;
}

/** Statuses that may be reused without explicit freshness (RFC 9110, 15.1); 206 is kept apart, as a part. */
const HEURISTIC_STATUSES: ReadonlySet<number> = new Set([200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501]);
/** Statuses whose caching RFC 9110 defines. */
const UNDERSTOOD_STATUSES: ReadonlySet<number> = new Set([
  ...[200, 201, 202, 203, 204, 205, 206, 300, 301, 302, 303, 307, 308],
  ...[400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 421, 422, 426],
  ...[500, 501, 502, 503, 504, 505],
]);
/** Statuses that a policy's negative caching covers. */
const NEGATIVE_STATUSES: ReadonlySet<number> = new Set([404, 405, 410, 414, 501]);
/** Errors during which a stale response is the better answer (RFC 5861, 4). */
const ERROR_STATUSES: ReadonlySet<number> = new Set([500, 502, 503, 504]);

const HEURISTIC_SHARE = 0.1;
const MAX_HEURISTIC_SECONDS = 86_400;
/** How long a stale response may stand in for an origin that cannot be reached, unless something says otherwise (RFC 9111, 4.2.4). */
const DISCONNECTED_SECONDS = 3_600;

export function isServerError(status: number): boolean {
  return ERROR_STATUSES.has(status);
}

/**
 * Whether a shared cache may store the response to a GET (RFC 9111, 3). `authorized`: the request had `Authorization`.
 */
export function isStorable(
  response: Received,
  governing: Governing,
  authorized: boolean,
  defaults: FreshnessDefaults = {},
): boolean {
  const { directives } = governing;
  if (response.status < 200 || response.status === 304) return false;
  if (isUnqualified(directives, 'private') || forbidsStoring(response.status, directives)) return false;
  if (tokensOf(response.headers, 'vary').includes('*')) return false;
  const opensToShared = ['public', 'must-revalidate', 's-maxage'].some((name) => directives.has(name));
  if (authorized && !opensToShared) return false;
  if (statedLifetime(response, governing) !== undefined) return true;
  if (hasValidator(response.headers) && mayBeGuessed(response.status, directives)) return true;
  return (defaultLifetime(response, defaults) ?? 0) > 0;
}

/** `must-understand` takes the place of `no-store` where the status is one we know (RFC 9111, 5.2.2.3). */
function forbidsStoring(status: number, directives: Directives): boolean {
  if (directives.has('must-understand')) return !UNDERSTOOD_STATUSES.has(status);
  return directives.has('no-store');
}

/** Whether the response can be asked about again by `If-None-Match` or `If-Modified-Since`. */
export function hasValidator(headers: Fields): boolean {
  return headers.etag !== undefined || headers['last-modified'] !== undefined;
}

/** Freshness of a storable response, by itself and by what its route gives where it is silent. */
export function freshnessOf(response: Received, governing: Governing, defaults: FreshnessDefaults = {}): Freshness {
  const { directives } = governing;
  const lifetime =
    statedLifetime(response, governing) ?? defaultLifetime(response, defaults) ?? heuristic(response, directives);
  const neverStale = ['must-revalidate', 'proxy-revalidate', 's-maxage'].some((name) => directives.has(name));
  const staleIfError = seconds(directives, 'stale-if-error') ?? defaults.staleIfErrorSeconds ?? DISCONNECTED_SECONDS;
  const staleWhileRevalidate =
    seconds(directives, 'stale-while-revalidate') ?? defaults.staleWhileRevalidateSeconds ?? 0;
  return {
    lifetime: Math.min(lifetime, defaults.maxTtlSeconds ?? Number.POSITIVE_INFINITY),
    initialAge: initialAge(response),
    alwaysRevalidate: isUnqualified(directives, 'no-cache'),
    neverStale,
    staleWhileRevalidate: neverStale ? 0 : staleWhileRevalidate,
    staleIfError: neverStale ? 0 : staleIfError,
  };
}

/** Whether the response itself asks to be used while the origin errs, or its route does. */
export function statesStaleIfError({ directives }: Governing, defaults: FreshnessDefaults = {}): boolean {
  return directives.has('stale-if-error') || defaults.staleIfErrorSeconds !== undefined;
}

/** The freshness that the response states, seconds; `undefined` when it states none (RFC 9111, 4.2.1). */
export function statedLifetime(
  { headers, responseTime }: Received,
  { directives, targeted }: Governing,
): number | undefined {
  const maxAge = seconds(directives, 's-maxage') ?? seconds(directives, 'max-age');
  if (maxAge !== undefined || targeted) return maxAge;
  const expires = linesOf(headers, 'expires');
  const [only] = expires;
  if (only === undefined) return undefined;
  const expiresAt = expires.length === 1 ? parseHttpDate(only) : undefined;
  if (expiresAt === undefined) return 0;
  return Math.max(0, (expiresAt - dateOf(headers, responseTime)) / 1000);
}

function defaultLifetime({ status }: Received, defaults: FreshnessDefaults): number | undefined {
  if (NEGATIVE_STATUSES.has(status)) return defaults.negativeTtlSeconds;
  return HEURISTIC_STATUSES.has(status) ? defaults.defaultTtlSeconds : undefined;
}

/** Whether a response may be reused although it states no freshness (RFC 9111, 3 and 4.2.2). */
function mayBeGuessed(status: number, directives: Directives): boolean {
  return HEURISTIC_STATUSES.has(status) || directives.has('public');
}

/** A tenth of the time since the last change, a day at most (RFC 9111, 4.2.2). */
function heuristic({ status, headers, responseTime }: Received, directives: Directives): number {
  if (!mayBeGuessed(status, directives)) return 0;
  const lastModified = parseHttpDate(fieldValue(headers, 'last-modified') ?? '');
  if (lastModified === undefined) return 0;
  const unchangedSeconds = (dateOf(headers, responseTime) - lastModified) / 1000;
  return Math.min(MAX_HEURISTIC_SECONDS, Math.max(0, unchangedSeconds * HEURISTIC_SHARE));
}

function initialAge({ headers, requestTime, responseTime }: Received): number {
  const apparentAge = Math.max(0, (responseTime - dateOf(headers, responseTime)) / 1000);
  const responseDelay = (responseTime - requestTime) / 1000;
  return Math.max(apparentAge, ageField(headers) + responseDelay);
}

/** The first member of `Age`, whole seconds; anything else counts as none (RFC 9111, 5.1). */
function ageField(headers: Fields): number {
  const [first = ''] = (linesOf(headers, 'age')[0] ?? '').split(',');
  return /^\d+$/.test(first.trim()) ? Math.min(Number(first), MAX_DELTA_SECONDS) : 0;
}

function dateOf(headers: Fields, responseTime: number): number {
  return parseHttpDate(fieldValue(headers, 'date') ?? '') ?? responseTime;
}
