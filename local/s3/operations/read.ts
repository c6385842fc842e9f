import type { IncomingHttpHeaders } from 'node:http';
import type { Bucket } from '../bucket';
import { parseByteRange } from '../byte-range';
import { checksumHeader } from '../checksum';
import { S3Error } from '../errors';
import { isUnmodified } from '../preconditions';
import { type Answer, header, type S3Request } from '../request';
import { quotedEtag, type VersionRecord } from '../version-record';
import { queryValue, requestBucket, requestKey, type S3Context } from './context';

/** What a read may ask for, whether it came by the API or from CloudFront. */
export interface ReadRequest {
  readonly method: 'GET' | 'HEAD';
  readonly key: string;
  readonly versionId: string | undefined;
  readonly headers: IncomingHttpHeaders;
  /** Response headers replaced by `response-*` parameters. */
  readonly overrides: Readonly<Record<string, string>>;
}

/** Query parameters of GetObject and HeadObject that replace a header of the answer. */
export const RESPONSE_OVERRIDES: Readonly<Record<string, string>> = {
  'response-cache-control': 'cache-control',
  'response-content-disposition': 'content-disposition',
  'response-content-encoding': 'content-encoding',
  'response-content-language': 'content-language',
  'response-content-type': 'content-type',
  'response-expires': 'expires',
};

export function getObject(request: S3Request, context: S3Context): Promise<Answer> {
  return readByApi('GET', request, context);
}

export function headObject(request: S3Request, context: S3Context): Promise<Answer> {
  return readByApi('HEAD', request, context);
}

function readByApi(method: 'GET' | 'HEAD', request: S3Request, context: S3Context): Promise<Answer> {
  const overrides = Object.entries(RESPONSE_OVERRIDES).flatMap(([parameter, name]) => {
    const value = queryValue(request, parameter);
    return value === undefined ? [] : [[name, value]];
  });
  return readObject(requestBucket(request, context), {
    method,
    key: requestKey(request),
    versionId: queryValue(request, 'versionId'),
    headers: request.headers,
    overrides: Object.fromEntries(overrides),
  });
}

/**
 * Reads an object or a byte range of it.
 * @throws S3Error NoSuchKey, NoSuchVersion, MethodNotAllowed (a delete marker), PreconditionFailed, InvalidRange
 */
export async function readObject(bucket: Bucket, request: ReadRequest): Promise<Answer> {
  const found = bucket.lookUp(request.key, request.versionId);
  if (found.deleteMarker) throw readOfDeleteMarker(found);
  const { record, file } = await bucket.openBody(request.key, request.versionId);
  let sending = false;
  try {
    const headers = objectHeaders(bucket, record, request);
    if (isUnmodified(request.headers, record)) return { status: 304, headers: withoutContentHeaders(headers) };
    const range = parseByteRange(header(request.headers, 'range'), record.size);
    const answer = {
      status: range === undefined ? 200 : 206,
      headers: {
        ...headers,
        'content-length': String(range === undefined ? record.size : range.last - range.first + 1),
        ...(range === undefined ? {} : { 'content-range': `bytes ${range.first}-${range.last}/${record.size}` }),
      },
    };
    if (request.method === 'HEAD') return answer;
    sending = true;
    const body = file.createReadStream(range === undefined ? {} : { start: range.first, end: range.last });
    return { ...answer, body };
  } finally {
    if (!sending) await file.close();
  }
}

function objectHeaders(bucket: Bucket, record: VersionRecord, request: ReadRequest): Record<string, string> {
  return {
    ...record.systemHeaders,
    ...Object.fromEntries(Object.entries(record.userMetadata).map(([name, value]) => [`x-amz-meta-${name}`, value])),
    ...request.overrides,
    'accept-ranges': 'bytes',
    etag: quotedEtag(record),
    'last-modified': new Date(record.lastModified).toUTCString(),
    ...(bucket.versioning === 'Disabled' ? {} : { 'x-amz-version-id': record.versionId }),
    ...(record.replicationStatus === undefined ? {} : { 'x-amz-replication-status': record.replicationStatus }),
    ...checksumHeaders(record, request.headers),
  };
}

/** A checksum covers the whole object, so it is not sent with a range. */
function checksumHeaders(record: VersionRecord, headers: IncomingHttpHeaders): Record<string, string> {
  const asked = header(headers, 'x-amz-checksum-mode')?.toUpperCase() === 'ENABLED';
  if (!asked || record.checksum === undefined || headers.range !== undefined) return {};
  return {
    [checksumHeader(record.checksum.algorithm)]: record.checksum.value,
    'x-amz-checksum-type': record.checksum.type,
  };
}

function withoutContentHeaders(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !name.startsWith('content-')));
}

function readOfDeleteMarker(marker: VersionRecord): S3Error {
  return new S3Error(
    'MethodNotAllowed',
    405,
    'The specified method is not allowed against this resource.',
    { ResourceType: 'DeleteMarker' },
    {
      allow: 'DELETE',
      'x-amz-delete-marker': 'true',
      'x-amz-version-id': marker.versionId,
      'last-modified': new Date(marker.lastModified).toUTCString(),
    },
  );
}
