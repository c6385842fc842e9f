import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import type { Readable } from 'node:stream';
import { S3Error } from './errors';

/** A request to the S3 API, its target already taken apart. */
export interface S3Request {
  readonly method: string;
  /** Region that the client signed for. */
  readonly region: string;
  readonly bucket: string | undefined;
  readonly key: string | undefined;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  readonly body: Readable;
}

/** S3's answer; a `Readable` body is sent as it comes, and its length stands in the headers. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Readable;
}

const MAX_KEY_BYTES = 1024;

/** Host names under which buckets are subdomains ("virtual-hosted style"). */
const ENDPOINT_HOST = /^(?:(?<bucket>.+)\.)?(?:localhost|s3(?:\.[a-z0-9-]+)?\.amazonaws\.com)$/;

/** Reads bucket and key from the host (`bucket.localhost`) or else from the path (`/bucket/key`). */
export function parseS3Request(message: IncomingMessage, region: string): S3Request {
  const { path, query } = splitTarget(message.url ?? '/');
  const hostBucket = bucketOfHost(message.headers.host ?? '');
  const { bucket, key } = hostBucket === undefined ? splitPath(path) : { bucket: hostBucket, key: path.slice(1) };
  return {
    method: message.method ?? 'GET',
    region,
    bucket: bucket === '' ? undefined : bucket,
    key: key === '' ? undefined : decodeKey(key),
    query,
    headers: message.headers,
    body: message,
  };
}

/** Splits a request target by hand: `new URL` would resolve the dots of a key such as `a/../b`. */
export function splitTarget(target: string): { path: string; query: URLSearchParams } {
  const mark = target.indexOf('?');
  return mark < 0
    ? { path: target, query: new URLSearchParams() }
    : { path: target.slice(0, mark), query: new URLSearchParams(target.slice(mark + 1)) };
}

/** Decodes a percent-encoded key and checks its length. */
export function decodeKey(encoded: string): string {
  const key = decodeOrRefuse(encoded);
  const size = Buffer.byteLength(key);
  if (size > MAX_KEY_BYTES) {
    throw new S3Error('KeyTooLongError', 400, 'Your key is too long', {
      Size: String(size),
      MaxSizeAllowed: String(MAX_KEY_BYTES),
    });
  }
  return key;
}

/** Percent-decodes; text that is not UTF-8 is S3's InvalidURI. */
export function decodeOrRefuse(encoded: string): string {
  try {
    return decodeURIComponent(encoded);
  } catch {
    throw new S3Error('InvalidURI', 400, "Couldn't parse the specified URI.", { URI: encoded });
  }
}

/** A header's value; several of one name are joined as HTTP does. */
export function header(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value.join(', ') : value;
}

function bucketOfHost(host: string): string | undefined {
  const name = host.replace(/:\d+$/, '');
  if (isIP(name) !== 0) return undefined;
  return ENDPOINT_HOST.exec(name)?.groups?.bucket;
}

function splitPath(path: string): { bucket: string; key: string } {
  const slash = path.indexOf('/', 1);
  return slash < 0
    ? { bucket: decodeOrRefuse(path.slice(1)), key: '' }
    : { bucket: decodeOrRefuse(path.slice(1, slash)), key: path.slice(slash + 1) };
}
