import type { IncomingHttpHeaders } from 'node:http';
import { invalidArgument, noSuchKey, notImplemented, preconditionFailed } from './errors';
import { header } from './request';
import type { VersionRecord } from './version-record';

/** A condition on the current version of the key that a write replaces. */
export type WriteCondition =
  | { readonly kind: 'absent' }
  | { readonly kind: 'matches'; readonly etag: string }
  | undefined;

/** Reads If-None-Match and If-Match of a write; S3 takes only `*` for the former. */
export function parseWriteCondition(headers: IncomingHttpHeaders): WriteCondition {
  const ifNoneMatch = header(headers, 'if-none-match');
  const ifMatch = header(headers, 'if-match');
  if (ifNoneMatch !== undefined && ifMatch !== undefined) throw notImplemented('If-Match together with If-None-Match');
  if (ifNoneMatch !== undefined) {
    if (ifNoneMatch !== '*') throw invalidArgument('If-None-Match', ifNoneMatch, '"*" on a write');
    return { kind: 'absent' };
  }
  return ifMatch === undefined ? undefined : { kind: 'matches', etag: ifMatch };
}

/** @throws S3Error PreconditionFailed, or NoSuchKey where If-Match finds nothing to match */
export function checkWriteCondition(condition: WriteCondition, key: string, current: VersionRecord | undefined): void {
  if (condition === undefined) return;
  if (condition.kind === 'absent') {
    if (current !== undefined) throw preconditionFailed('If-None-Match');
    return;
  }
  if (current === undefined) throw noSuchKey(key);
  if (!etagListed(condition.etag, current)) throw preconditionFailed('If-Match');
}

/** Header names of a read's conditions; a copy has its own for the source. */
export interface ReadConditionNames {
  readonly match: string;
  readonly noneMatch: string;
  readonly modifiedSince: string;
  readonly unmodifiedSince: string;
}

const READ_CONDITIONS: ReadConditionNames = {
  match: 'if-match',
  noneMatch: 'if-none-match',
  modifiedSince: 'if-modified-since',
  unmodifiedSince: 'if-unmodified-since',
};

export const COPY_SOURCE_CONDITIONS: ReadConditionNames = {
  match: 'x-amz-copy-source-if-match',
  noneMatch: 'x-amz-copy-source-if-none-match',
  modifiedSince: 'x-amz-copy-source-if-modified-since',
  unmodifiedSince: 'x-amz-copy-source-if-unmodified-since',
};

/**
 * Evaluates the conditions of a read in the order of RFC 9110, section 13.2.2.
 * @returns whether the reader's copy is still good (304 on a read)
 * @throws S3Error PreconditionFailed
 */
export function isUnmodified(
  headers: IncomingHttpHeaders,
  record: VersionRecord,
  names: ReadConditionNames = READ_CONDITIONS,
): boolean {
  const match = header(headers, names.match);
  const unmodifiedSince = header(headers, names.unmodifiedSince);
  if (match !== undefined) {
    if (!etagListed(match, record)) throw preconditionFailed(names.match);
  } else if (unmodifiedSince !== undefined && modifiedAfter(record, unmodifiedSince)) {
    throw preconditionFailed(names.unmodifiedSince);
  }
  const noneMatch = header(headers, names.noneMatch);
  if (noneMatch !== undefined) return etagListed(noneMatch, record);
  const modifiedSince = header(headers, names.modifiedSince);
  return (
    modifiedSince !== undefined && !Number.isNaN(Date.parse(modifiedSince)) && !modifiedAfter(record, modifiedSince)
  );
}

function etagListed(list: string, record: VersionRecord): boolean {
  return list
    .split(',')
    .map((etag) => etag.trim().replace(/^W\//, '').replace(/^"|"$/g, ''))
    .some((etag) => etag === '*' || etag === record.etag);
}

/** Compares in whole seconds, which is all that HTTP dates carry; a date that cannot be read never matches. */
function modifiedAfter(record: VersionRecord, httpDate: string): boolean {
  return Math.floor(Date.parse(record.lastModified) / 1000) > Math.floor(Date.parse(httpDate) / 1000);
}
