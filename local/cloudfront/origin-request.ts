import { acceptedCodings, type EdgeRequest, selectCookies, selectQuery } from './cache-key';
import type { Behavior } from './distribution';
import { type Headers, headerValue, removeHopByHop } from './headers';

/** What a POP sends to an origin, before the origin's own host, path prefix and custom headers are put in. */
export interface OriginRequest {
  readonly method: string;
  /** Path and query, percent-encoded. */
  readonly path: string;
  /** `host` is present only when a policy forwards the viewer's. */
  readonly headers: Headers;
}

/** Fields that belong to the body of a request and go with it, whatever the policies say. */
const BODY_FIELDS = ['content-type', 'content-length', 'content-encoding', 'content-language', 'content-md5'];

/** Conditions and ranges are the viewer's own; a POP that caches asks the origin its own way. */
const CONDITIONAL_FIELDS = [
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'range',
];

/**
 * Builds the request to the origin: everything of the cache key, what the origin request policy adds, and what
 * CloudFront sends of its own accord.
 * Source: CloudFront developer guide, "Understand origin request policies", "Request and response behavior for custom origins".
 *
 * @param viewerIp address that ends `X-Forwarded-For`
 */
export function originRequest(
  behavior: Behavior,
  request: EdgeRequest,
  viewerIp: string,
  requestId: string,
): OriginRequest {
  const keyed = behavior.cachePolicy.ParametersInCacheKeyAndForwardedToOrigin;
  const extra = behavior.originRequestPolicy;
  const query = selectQuery(selections(keyed.QueryStringsConfig, extra?.QueryStringsConfig), request.query);
  const cookies = selectCookies(selections(keyed.CookiesConfig, extra?.CookiesConfig), request.cookies);

  const headers: Headers = new Map();
  for (const [name, values] of request.headers) {
    if (forwardsHeader(behavior, name, request.method)) headers.set(name, values);
  }
  removeHopByHop(headers);
  if (cachesMethod(behavior, request.method)) for (const name of CONDITIONAL_FIELDS) headers.delete(name);
  if (cookies.length > 0) headers.set('cookie', [cookies.join('; ')]);
  if (!headers.has('user-agent')) headers.set('user-agent', ['Amazon CloudFront']);
  const codings = acceptedCodings(behavior, request.headers);
  if (codings.length > 0) headers.set('accept-encoding', [codings.join(',')]);
  else if (normalisesCodings(behavior)) headers.delete('accept-encoding');
  headers.set('via', [VIA]);
  headers.set('x-amz-cf-id', [requestId]);
  const forwardedFor = headerValue(request.headers, 'x-forwarded-for');
  headers.set('x-forwarded-for', [forwardedFor === undefined ? viewerIp : `${forwardedFor}, ${viewerIp}`]);
  return { method: request.method, path: query === '' ? request.uri : `${request.uri}?${query}`, headers };
}

/** How the stand-in names itself to both sides (RFC 9110, section 7.6.3). */
export const VIA = '1.1 mlcdn.cloudfront.net (CloudFront)';

/** Whether answers to a method may be stored under this behaviour. */
export function cachesMethod(behavior: Behavior, method: string): boolean {
  return behavior.config.CachedMethods.includes(method) && behavior.cachePolicy.MaxTTL > 0;
}

/** Whether a policy of the behaviour asks CloudFront to make a `CloudFront-*` header. */
export function asksForHeader(behavior: Behavior, name: string): boolean {
  const keyed = behavior.cachePolicy.ParametersInCacheKeyAndForwardedToOrigin.HeadersConfig;
  const extra = behavior.originRequestPolicy?.HeadersConfig;
  return (
    keyed.names.includes(name) || (extra !== undefined && extra.behavior !== 'allExcept' && extra.names.includes(name))
  );
}

/** Whether cookies reach the origin at all; where none do, CloudFront also drops the origin's `Set-Cookie`. */
export function forwardsCookies(behavior: Behavior): boolean {
  const keyed = behavior.cachePolicy.ParametersInCacheKeyAndForwardedToOrigin.CookiesConfig.behavior;
  return keyed !== 'none' || (behavior.originRequestPolicy?.CookiesConfig.behavior ?? 'none') !== 'none';
}

function selections<T>(first: T, second: T | undefined): T[] {
  return second === undefined ? [first] : [first, second];
}

function normalisesCodings(behavior: Behavior): boolean {
  const keyed = behavior.cachePolicy.ParametersInCacheKeyAndForwardedToOrigin;
  return keyed.EnableAcceptEncodingBrotli || keyed.EnableAcceptEncodingGzip;
}

function forwardsHeader(behavior: Behavior, name: string, method: string): boolean {
  const keyed = behavior.cachePolicy.ParametersInCacheKeyAndForwardedToOrigin.HeadersConfig;
  if (keyed.names.includes(name)) return true;
  if (BODY_FIELDS.includes(name)) return method !== 'GET' && method !== 'HEAD';
  if (CONDITIONAL_FIELDS.includes(name) && !cachesMethod(behavior, method)) return true;
  const extra = behavior.originRequestPolicy?.HeadersConfig;
  switch (extra?.behavior) {
    case 'whitelist':
      return extra.names.includes(name);
    case 'allViewer':
    case 'allViewerAndWhitelistCloudFront':
      return true;
    case 'allExcept':
      return !extra.names.includes(name);
    default:
      return false;
  }
}
