import type { Bucket } from '../bucket';
import { invalidArgument } from '../errors';
import { compareUtf8, type ListingQuery, listKeys } from '../listing';
import type { Answer, S3Request } from '../request';
import { quotedEtag, type VersionRecord } from '../version-record';
import { queryValue, requestBucket, type S3Context, xmlAnswer } from './context';

const MAX_KEYS_PER_PAGE = 1000;

export function listObjectsV2(request: S3Request, context: S3Context): Answer {
  const bucket = requestBucket(request, context);
  const encode = responseEncoder(request);
  const token = queryValue(request, 'continuation-token');
  const startAfter = queryValue(request, 'start-after');
  const query = readListing(request, token === undefined ? (startAfter ?? '') : decodeToken(token));
  const visible = bucket.keys().filter((key) => bucket.current(key) !== undefined);
  const page = listKeys(visible, query);
  return xmlAnswer('ListBucketResult', {
    Name: bucket.name,
    Prefix: encode(query.prefix),
    Delimiter: query.delimiter === '' ? undefined : encode(query.delimiter),
    MaxKeys: query.maxKeys,
    EncodingType: queryValue(request, 'encoding-type'),
    StartAfter: startAfter === undefined ? undefined : encode(startAfter),
    ContinuationToken: token,
    NextContinuationToken: page.next === undefined ? undefined : encodeToken(page.next),
    IsTruncated: page.next !== undefined,
    KeyCount: page.keys.length + page.commonPrefixes.length,
    Contents: page.keys.flatMap((key) => describeObject(bucket.current(key), encode)),
    CommonPrefixes: page.commonPrefixes.map((prefix) => ({ Prefix: encode(prefix) })),
  });
}

export function listObjectVersions(request: S3Request, context: S3Context): Answer {
  const bucket = requestBucket(request, context);
  const encode = responseEncoder(request);
  const keyMarker = queryValue(request, 'key-marker') ?? '';
  const versionMarker = queryValue(request, 'version-id-marker') ?? '';
  const query = readListing(request, keyMarker);
  const page = listVersions(bucket, query, versionMarker);
  return xmlAnswer('ListVersionsResult', {
    Name: bucket.name,
    Prefix: encode(query.prefix),
    Delimiter: query.delimiter === '' ? undefined : encode(query.delimiter),
    MaxKeys: query.maxKeys,
    EncodingType: queryValue(request, 'encoding-type'),
    KeyMarker: encode(keyMarker),
    VersionIdMarker: versionMarker,
    NextKeyMarker: page.next === undefined ? undefined : encode(page.next.key),
    NextVersionIdMarker: page.next?.versionId,
    IsTruncated: page.next !== undefined,
    Version: page.records
      .filter((record) => !record.deleteMarker)
      .map((record) => describeVersion(bucket, record, encode)),
    DeleteMarker: page.records
      .filter((record) => record.deleteMarker)
      .map((record) => describeVersion(bucket, record, encode)),
    CommonPrefixes: page.commonPrefixes.map((prefix) => ({ Prefix: encode(prefix) })),
  });
}

interface VersionsPage {
  readonly records: readonly VersionRecord[];
  readonly commonPrefixes: readonly string[];
  readonly next: { readonly key: string; readonly versionId: string | undefined } | undefined;
}

/** Walks keys in order and each key's versions from the newest; a page may end within a key. */
function listVersions(bucket: Bucket, query: ListingQuery, versionMarker: string): VersionsPage {
  const records: VersionRecord[] = versionMarker === '' ? [] : versionsAfter(bucket, query.after, versionMarker);
  const { keys, commonPrefixes, next } = listKeys(bucket.keys(), query);
  const items = [
    ...keys.map((key) => ({ position: key, records: bucket.versionsOf(key) })),
    ...commonPrefixes.map((prefix) => ({ position: prefix, records: undefined })),
  ].sort((a, b) => compareUtf8(a.position, b.position));
  const pagePrefixes: string[] = [];
  let last: VersionsPage['next'] = { key: query.after, versionId: versionMarker };
  for (const item of items) {
    if (records.length + pagePrefixes.length >= query.maxKeys) return cut(records, pagePrefixes, query.maxKeys, last);
    if (item.records === undefined) {
      pagePrefixes.push(item.position);
      last = { key: item.position, versionId: undefined };
    } else {
      records.push(...item.records);
      last = { key: item.position, versionId: item.records.at(-1)?.versionId };
    }
  }
  const overfull = records.length + pagePrefixes.length > query.maxKeys;
  return overfull || next !== undefined
    ? cut(records, pagePrefixes, query.maxKeys, last)
    : { records, commonPrefixes: pagePrefixes, next: undefined };
}

/** Drops what does not fit on the page; only the last key listed can have too many versions. */
function cut(
  records: readonly VersionRecord[],
  commonPrefixes: readonly string[],
  maxKeys: number,
  last: VersionsPage['next'],
): VersionsPage {
  const kept = records.slice(0, Math.max(0, maxKeys - commonPrefixes.length));
  const lastKept = kept.at(-1);
  const dropped = kept.length < records.length;
  const next = dropped && lastKept !== undefined ? { key: lastKept.key, versionId: lastKept.versionId } : last;
  return { records: kept, commonPrefixes, next: maxKeys === 0 ? undefined : next };
}

function versionsAfter(bucket: Bucket, key: string, versionId: string): VersionRecord[] {
  const versions = bucket.versionsOf(key);
  const position = versions.findIndex((record) => record.versionId === versionId);
  return position < 0 ? [] : versions.slice(position + 1);
}

function readListing(request: S3Request, after: string): ListingQuery {
  return {
    prefix: queryValue(request, 'prefix') ?? '',
    delimiter: queryValue(request, 'delimiter') ?? '',
    after,
    maxKeys: readMaxKeys(queryValue(request, 'max-keys')),
  };
}

function readMaxKeys(text: string | undefined): number {
  if (text === undefined) return MAX_KEYS_PER_PAGE;
  if (!/^\d+$/.test(text)) throw invalidArgument('max-keys', text, 'a whole number from 0');
  return Math.min(Number(text), MAX_KEYS_PER_PAGE);
}

/** With `encoding-type=url` keys are percent-encoded, so that any byte passes through XML. */
function responseEncoder(request: S3Request): (text: string) => string {
  const encoding = queryValue(request, 'encoding-type');
  if (encoding === undefined) return (text) => text;
  if (encoding !== 'url') throw invalidArgument('encoding-type', encoding, '"url"');
  return (text) => encodeURIComponent(text).replaceAll('%2F', '/').replaceAll('%20', '+');
}

function encodeToken(position: string): string {
  return Buffer.from(position).toString('base64url');
}

function decodeToken(token: string): string {
  const position = Buffer.from(token, 'base64url').toString();
  if (position === '' || encodeToken(position) !== token) {
    throw invalidArgument('continuation-token', token, 'a token of an earlier listing');
  }
  return position;
}

function describeObject(
  record: VersionRecord | undefined,
  encode: (text: string) => string,
): Record<string, unknown>[] {
  if (record === undefined) return [];
  return [
    {
      Key: encode(record.key),
      LastModified: record.lastModified,
      ETag: quotedEtag(record),
      ...describeChecksum(record),
      Size: record.size,
      StorageClass: 'STANDARD',
    },
  ];
}

function describeVersion(
  bucket: Bucket,
  record: VersionRecord,
  encode: (text: string) => string,
): Record<string, unknown> {
  const common = {
    Key: encode(record.key),
    VersionId: record.versionId,
    IsLatest: bucket.versionsOf(record.key)[0] === record,
    LastModified: record.lastModified,
  };
  return record.deleteMarker
    ? common
    : { ...common, ETag: quotedEtag(record), ...describeChecksum(record), Size: record.size, StorageClass: 'STANDARD' };
}

function describeChecksum(record: VersionRecord): Record<string, unknown> {
  return record.checksum === undefined
    ? {}
    : { ChecksumAlgorithm: record.checksum.algorithm.toUpperCase(), ChecksumType: record.checksum.type };
}
