import type { Behavior } from './distribution';
import { type Headers, headerValue } from './headers';
import { type Selection, selects } from './policies';

/** A request as it stands after the viewer-request function. */
export interface EdgeRequest {
  readonly method: string;
  /** Path, percent-encoded, without the query. */
  readonly uri: string;
  /** Query without `?`, percent-encoded; `''` when there is none. */
  readonly query: string;
  /** Without cookies. */
  readonly headers: Headers;
  /** Cookie pairs in the order of the request. */
  readonly cookies: readonly string[];
}

/** Content codings that a POP asks the origin for, best first. */
export type Coding = 'br' | 'gzip';

/** What names a cached object, and what invalidation paths are compared with. */
export interface CacheKey {
  readonly id: string;
  /** Path with the query strings of the key. */
  readonly path: string;
}

/**
 * The cache key of a request: path, and the headers, cookies, query strings and codings that the cache policy names.
 * Query parameters keep their order and case; CloudFront sorts nothing. GET and HEAD share objects, OPTIONS does not.
 */
export function cacheKey(distributionId: string, behavior: Behavior, request: EdgeRequest): CacheKey {
  const parameters = behavior.cachePolicy.ParametersInCacheKeyAndForwardedToOrigin;
  const query = selectQuery([parameters.QueryStringsConfig], request.query);
  const path = query === '' ? request.uri : `${request.uri}?${query}`;
  const headers = parameters.HeadersConfig.names.map((name) => [name, headerValue(request.headers, name) ?? null]);
  const cookies = selectCookies([parameters.CookiesConfig], request.cookies);
  const codings = acceptedCodings(behavior, request.headers);
  const id = JSON.stringify([distributionId, request.method === 'OPTIONS', path, headers, cookies, codings]);
  return { id, path };
}

/** The codings that the viewer accepts among those that the cache policy normalises; the order is CloudFront's own. */
export function acceptedCodings(behavior: Behavior, headers: Headers): Coding[] {
  const parameters = behavior.cachePolicy.ParametersInCacheKeyAndForwardedToOrigin;
  const accepted = (headerValue(headers, 'accept-encoding') ?? '').toLowerCase();
  const accepts = (coding: string) =>
    accepted.split(',').some((part) => {
      const [name = '', ...attributes] = part.split(';').map((piece) => piece.trim());
      return name === coding && !attributes.some((attribute) => /^q=0(\.0*)?$/.test(attribute));
    });
  const codings: Coding[] = [];
  if (parameters.EnableAcceptEncodingBrotli && accepts('br')) codings.push('br');
  if (parameters.EnableAcceptEncodingGzip && accepts('gzip')) codings.push('gzip');
  return codings;
}

/** Parameters of a query that at least one of the selections takes, in the order of the request. */
export function selectQuery(selections: readonly Selection[], query: string): string {
  if (query === '') return '';
  return query
    .split('&')
    .filter((part) => selections.some((selection) => selects(selection, nameOf(part))))
    .join('&');
}

/** Cookie pairs that at least one of the selections takes. */
export function selectCookies(selections: readonly Selection[], cookies: readonly string[]): string[] {
  return cookies.filter((pair) => selections.some((selection) => selects(selection, nameOf(pair))));
}

function nameOf(pair: string): string {
  const [name = ''] = pair.split('=', 1);
  return name;
}
