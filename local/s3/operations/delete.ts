import type { Deletion } from '../bucket';
import { invalidRequest, malformedXml, notImplemented, toS3Error } from '../errors';
import { receiveText, requestedAlgorithm } from '../payload';
import { parseWriteCondition, type WriteCondition } from '../preconditions';
import type { Answer, S3Request } from '../request';
import { elements, parseRequestXml, textOf } from '../xml';
import { queryValue, requestBucket, requestKey, type S3Context, xmlAnswer } from './context';
import { versionHeader } from './object-headers';

const MAX_KEYS_PER_REQUEST = 1000;
const MAX_DOCUMENT_BYTES = 2 * 1024 * 1024;

export async function deleteObject(request: S3Request, context: S3Context): Promise<Answer> {
  const bucket = requestBucket(request, context);
  const condition = parseWriteCondition(request.headers);
  if (condition?.kind === 'absent') throw notImplemented('If-None-Match on DeleteObject');
  const deletion = await bucket.delete(requestKey(request), queryValue(request, 'versionId'), condition);
  return {
    status: 204,
    headers: {
      ...versionHeader(bucket, deletion.versionId),
      ...(deletion.isDeleteMarker ? { 'x-amz-delete-marker': 'true' } : {}),
    },
  };
}

/** One entry of a Delete document. */
interface DeleteEntry {
  readonly key: string;
  readonly versionId: string | undefined;
  readonly condition: WriteCondition;
}

export async function deleteObjects(request: S3Request, context: S3Context): Promise<Answer> {
  const bucket = requestBucket(request, context);
  if (request.headers['content-md5'] === undefined && requestedAlgorithm(request.headers) === undefined) {
    throw invalidRequest('Missing required header for this request: Content-MD5 OR x-amz-checksum-*');
  }
  const { entries, quiet } = parseDelete(await receiveText(request, MAX_DOCUMENT_BYTES));
  const deleted: Record<string, unknown>[] = [];
  const failed: Record<string, unknown>[] = [];
  for (const entry of entries) {
    try {
      const deletion = await bucket.delete(entry.key, entry.versionId, entry.condition);
      deleted.push(describeDeletion(entry, deletion));
    } catch (thrown) {
      const error = toS3Error(thrown);
      failed.push({ Key: entry.key, VersionId: entry.versionId, Code: error.code, Message: error.message });
    }
  }
  return xmlAnswer('DeleteResult', { Deleted: quiet ? [] : deleted, Error: failed });
}

function parseDelete(text: string): { entries: DeleteEntry[]; quiet: boolean } {
  const content = parseRequestXml(text, 'Delete');
  const objects = elements(content, 'Object');
  if (objects.length === 0 || objects.length > MAX_KEYS_PER_REQUEST) {
    throw malformedXml(`it names ${objects.length} objects; 1 to ${MAX_KEYS_PER_REQUEST} are allowed.`);
  }
  return { entries: objects.map(parseEntry), quiet: textOf(content, 'Quiet') === 'true' };
}

function parseEntry(object: Record<string, unknown>): DeleteEntry {
  const key = textOf(object, 'Key');
  if (key === undefined || key === '') throw malformedXml('an <Object> has no <Key>.');
  const etag = textOf(object, 'ETag');
  if (textOf(object, 'LastModifiedTime') ?? textOf(object, 'Size')) {
    throw notImplemented('LastModifiedTime and Size as conditions of DeleteObjects');
  }
  return {
    key,
    versionId: textOf(object, 'VersionId'),
    condition: etag === undefined ? undefined : { kind: 'matches', etag },
  };
}

function describeDeletion(entry: DeleteEntry, deletion: Deletion): Record<string, unknown> {
  return {
    Key: entry.key,
    VersionId: entry.versionId,
    ...(deletion.isDeleteMarker ? { DeleteMarker: true, DeleteMarkerVersionId: deletion.versionId } : {}),
  };
}
