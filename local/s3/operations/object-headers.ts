import type { IncomingHttpHeaders } from 'node:http';
import type { Bucket } from '../bucket';
import { checksumHeader } from '../checksum';
import { notImplemented, S3Error } from '../errors';
import { header } from '../request';
import { quotedEtag, type VersionRecord } from '../version-record';

const USER_METADATA_PREFIX = 'x-amz-meta-';
const MAX_USER_METADATA_BYTES = 2048;
const DEFAULT_CONTENT_TYPE = 'binary/octet-stream';

/** Headers of a write that S3 keeps with the object and sends again with every read. */
const SYSTEM_HEADERS = ['content-type', 'cache-control', 'content-disposition', 'content-language', 'expires'];

/** Options of a write that would change what is stored; only these values mean what this stand-in does anyway. */
const OPTION_VALUES: Readonly<Record<string, readonly string[]>> = {
  'x-amz-acl': ['private', 'bucket-owner-full-control'],
  'x-amz-server-side-encryption': ['AES256'],
  'x-amz-storage-class': ['STANDARD'],
};
const REFUSED_OPTION =
  /^x-amz-(tagging|grant-|object-lock-|server-side-encryption-|website-redirect-location|write-offset-bytes)/;

/** System headers and user metadata of an object as its writer gave them. */
export function readObjectMetadata(
  headers: IncomingHttpHeaders,
): Pick<VersionRecord, 'systemHeaders' | 'userMetadata'> {
  refuseUnknownOptions(headers);
  const systemHeaders: Record<string, string> = { 'content-type': DEFAULT_CONTENT_TYPE };
  for (const name of SYSTEM_HEADERS) {
    const value = header(headers, name);
    if (value !== undefined) systemHeaders[name] = value;
  }
  const encoding = contentEncoding(headers);
  if (encoding !== '') systemHeaders['content-encoding'] = encoding;
  return { systemHeaders, userMetadata: readUserMetadata(headers) };
}

/** Headers of a write's answer that tell what was stored. */
export function writtenHeaders(bucket: Bucket, record: VersionRecord): Record<string, string> {
  return {
    etag: quotedEtag(record),
    ...versionHeader(bucket, record.versionId),
    ...(record.checksum === undefined
      ? {}
      : {
          [checksumHeader(record.checksum.algorithm)]: record.checksum.value,
          'x-amz-checksum-type': record.checksum.type,
        }),
  };
}

/** Buckets that were never versioned do not speak of versions. */
export function versionHeader(bucket: Bucket, versionId: string | undefined): Record<string, string> {
  return bucket.versioning === 'Disabled' || versionId === undefined ? {} : { 'x-amz-version-id': versionId };
}

function refuseUnknownOptions(headers: IncomingHttpHeaders): void {
  for (const name of Object.keys(headers)) {
    if (REFUSED_OPTION.test(name)) throw notImplemented(`the header ${name}`);
  }
  for (const [name, allowed] of Object.entries(OPTION_VALUES)) {
    const value = header(headers, name);
    if (value !== undefined && !allowed.includes(value)) {
      throw notImplemented(`${name}: ${value} (only ${allowed.join(', ')})`);
    }
  }
}

/** Content-Encoding without `aws-chunked`, which ends at S3. */
function contentEncoding(headers: IncomingHttpHeaders): string {
  return (header(headers, 'content-encoding') ?? '')
    .split(',')
    .map((coding) => coding.trim())
    .filter((coding) => coding !== '' && coding !== 'aws-chunked')
    .join(',');
}

function readUserMetadata(headers: IncomingHttpHeaders): Record<string, string> {
  const metadata: Record<string, string> = {};
  let size = 0;
  for (const name of Object.keys(headers).filter((each) => each.startsWith(USER_METADATA_PREFIX))) {
    const value = header(headers, name) ?? '';
    const shortName = name.slice(USER_METADATA_PREFIX.length);
    metadata[shortName] = value;
    size += shortName.length + Buffer.byteLength(value);
  }
  if (size > MAX_USER_METADATA_BYTES) {
    throw new S3Error(
      'MetadataTooLarge',
      400,
      `Your metadata headers exceed the maximum allowed metadata size: ${size} of ${MAX_USER_METADATA_BYTES} bytes.`,
    );
  }
  return metadata;
}
