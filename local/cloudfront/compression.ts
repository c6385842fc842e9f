import { pipeline, Readable } from 'node:stream';
import { constants, createBrotliCompress, createGzip } from 'node:zlib';
import type { Coding } from './cache-key';
import { type Headers, headerValue } from './headers';

/**
 * Compression at the POP. Source: CloudFront developer guide, "Serve compressed files": which types, 1,000 to
 * 10,000,000 bytes by `Content-Length`, statuses 200, 403 and 404, and never twice.
 */

const MIN_BYTES = 1_000;
const MAX_BYTES = 10_000_000;
const STATUSES = [200, 403, 404];

const COMPRESSIBLE = new Set([
  'application/dash+xml',
  'application/eot',
  'application/font',
  'application/font-sfnt',
  'application/javascript',
  'application/json',
  'application/opentype',
  'application/otf',
  'application/pdf',
  'application/pkcs7-mime',
  'application/protobuf',
  'application/rss+xml',
  'application/truetype',
  'application/ttf',
  'application/vnd.apple.mpegurl',
  'application/vnd.mapbox-vector-tile',
  'application/vnd.ms-fontobject',
  'application/wasm',
  'application/xhtml+xml',
  'application/xml',
  'application/x-font-opentype',
  'application/x-font-truetype',
  'application/x-font-ttf',
  'application/x-httpd-cgi',
  'application/x-javascript',
  'application/x-mpegurl',
  'application/x-opentype',
  'application/x-otf',
  'application/x-perl',
  'application/x-ttf',
  'font/eot',
  'font/opentype',
  'font/otf',
  'font/ttf',
  'image/svg+xml',
  'text/css',
  'text/csv',
  'text/html',
  'text/javascript',
  'text/js',
  'text/plain',
  'text/richtext',
  'text/tab-separated-values',
  'text/xml',
  'text/x-component',
  'text/x-java-source',
  'text/x-script',
  'vnd.apple.mpegurl',
]);

/** The coding in which CloudFront would keep an answer, `undefined` for as it is. */
export function codingFor(status: number, headers: Headers, accepted: readonly Coding[]): Coding | undefined {
  const bytes = Number(headerValue(headers, 'content-length') ?? Number.NaN);
  const [type = ''] = (headerValue(headers, 'content-type') ?? '').toLowerCase().split(';', 1);
  const compressible =
    STATUSES.includes(status) &&
    !headers.has('content-encoding') &&
    bytes >= MIN_BYTES &&
    bytes <= MAX_BYTES &&
    COMPRESSIBLE.has(type.trim());
  return compressible ? accepted[0] : undefined;
}

/** Compresses a body on its way and changes its header fields with it: a strong `ETag` becomes weak. */
export function compress(coding: Coding, headers: Headers, body: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
  headers.delete('content-length');
  headers.delete('accept-ranges');
  headers.set('content-encoding', [coding]);
  const vary = headerValue(headers, 'vary');
  headers.set('vary', [vary === undefined ? 'Accept-Encoding' : `${vary}, Accept-Encoding`]);
  const etag = headerValue(headers, 'etag');
  if (etag !== undefined && !etag.startsWith('W/')) headers.set('etag', [`W/${etag}`]);
  // Brotli's own default quality is meant for files that are compressed once and for all.
  const quality = { params: { [constants.BROTLI_PARAM_QUALITY]: 5 } };
  const compressor = coding === 'br' ? createBrotliCompress(quality) : createGzip();
  // Errors of the source destroy the compressor, whose reader then sees them.
  pipeline(Readable.from(body), compressor, () => undefined);
  return compressor;
}
