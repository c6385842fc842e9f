import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import type { ViewerPlace } from '../geo/viewer-places';
import type { EdgeRequest } from './cache-key';
import type { Behavior } from './distribution';
import { type Headers, headersFrom, headerValue } from './headers';
import { asksForHeader } from './origin-request';
import { GENERATED_HEADERS } from './policies';

/** Longest URL and header block, bytes. Source: CloudFront developer guide, "Quotas". */
const MAX_URL_BYTES = 8192;
export const MAX_HEADER_BYTES = 32_768;

/** Header that stands for the viewer's address; read by this stand-in alone and never passed on. */
const VIEWER_IP_HEADER = 'x-viewer-ip';

/** A request that CloudFront answers itself, with an error. */
export class ViewerError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/**
 * The viewer's address: the socket's, unless `x-viewer-ip` gives another.
 *
 * @throws ViewerError 400 when the header holds no IP address.
 */
export function viewerAddress(request: IncomingMessage): string {
  const claimed = request.headers[VIEWER_IP_HEADER];
  if (claimed === undefined) return request.socket.remoteAddress ?? '127.0.0.1';
  const ip = String(claimed).trim();
  if (isIP(ip) === 0) throw new ViewerError(400, `${VIEWER_IP_HEADER} is ${JSON.stringify(ip)}, not an IP address`);
  return ip;
}

/**
 * Reads a viewer's request as it arrives at a POP.
 *
 * @throws ViewerError for what CloudFront refuses whatever the distribution says.
 */
export function readViewerRequest(request: IncomingMessage): EdgeRequest {
  const method = request.method ?? 'GET';
  const url = request.url ?? '/';
  if (method === 'TRACE' || method === 'CONNECT') throw new ViewerError(405, `${method} is not supported`);
  if (Buffer.byteLength(url) > MAX_URL_BYTES)
    throw new ViewerError(414, `the URL is longer than ${MAX_URL_BYTES} bytes`);
  if (!url.startsWith('/')) throw new ViewerError(400, 'the request target must be a path');
  const hasBody =
    request.headers['transfer-encoding'] !== undefined || Number(request.headers['content-length'] ?? 0) > 0;
  if (hasBody && (method === 'GET' || method === 'HEAD'))
    throw new ViewerError(403, `${method} with a body is not allowed`);

  const at = url.indexOf('?');
  const headers = headersFrom(request.headersDistinct);
  const cookies = (headerValue(headers, 'cookie') ?? '')
    .split(';')
    .map((pair) => pair.trim())
    .filter((pair) => pair !== '');
  headers.delete('cookie');
  headers.delete(VIEWER_IP_HEADER);
  for (const name of headers.keys()) {
    if (name.startsWith('cloudfront-') || name.startsWith('x-amz-cf-')) headers.delete(name);
  }
  return {
    method,
    uri: at < 0 ? url : url.slice(0, at),
    query: at < 0 ? '' : url.slice(at + 1),
    headers,
    cookies,
  };
}

/** The query as the viewer wrote it: `undefined` without a `?`. */
export function rawQueryString(request: IncomingMessage): string | undefined {
  const url = request.url ?? '/';
  const at = url.indexOf('?');
  return at < 0 ? undefined : url.slice(at + 1);
}

/** The request with the `CloudFront-*` headers that the behaviour's policies ask for. */
export function withGeneratedHeaders(
  request: EdgeRequest,
  behavior: Behavior,
  viewer: {
    readonly address: string;
    readonly port: number;
    readonly place: ViewerPlace;
    readonly httpVersion: string;
  },
): EdgeRequest {
  const { place } = viewer;
  const values: Record<(typeof GENERATED_HEADERS)[number], string | undefined> = {
    // The listener of this machine stands for the HTTPS one of CloudFront.
    'cloudfront-forwarded-proto': 'https',
    'cloudfront-viewer-address': `${viewer.address}:${viewer.port}`,
    'cloudfront-viewer-city': place.city,
    'cloudfront-viewer-country': place.countryCode,
    'cloudfront-viewer-http-version': viewer.httpVersion,
    'cloudfront-viewer-latitude': place.lat.toFixed(5),
    'cloudfront-viewer-longitude': place.lon.toFixed(5),
  };
  const headers: Headers = new Map(request.headers);
  for (const name of GENERATED_HEADERS) {
    const value = values[name];
    if (value !== undefined && asksForHeader(behavior, name))
      headers.set(name, [encodeURIComponent(value).replaceAll('%3A', ':')]);
  }
  return { ...request, headers };
}
