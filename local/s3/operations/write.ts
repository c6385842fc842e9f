import type { IncomingHttpHeaders } from 'node:http';
import { DEFAULT_CHECKSUM_ALGORITHM, parseChecksumAlgorithm } from '../checksum';
import { invalidArgument, invalidRequest, preconditionFailed, S3Error } from '../errors';
import { COPY_SOURCE_CONDITIONS, isUnmodified, parseWriteCondition } from '../preconditions';
import { type Answer, decodeKey, decodeOrRefuse, header, type S3Request, splitTarget } from '../request';
import { storeBytes, storeRequestBody } from '../staged-body';
import { quotedEtag } from '../version-record';
import { requestBucket, requestKey, type S3Context, xmlAnswer } from './context';
import { readObjectMetadata, versionHeader, writtenHeaders } from './object-headers';

export async function putObject(request: S3Request, context: S3Context): Promise<Answer> {
  const bucket = requestBucket(request, context);
  const permit = bucket.permitWrite(requestKey(request), parseWriteCondition(request.headers));
  const metadata = readObjectMetadata(request.headers);
  return bucket.files.stage(async (staging) => {
    const payload = await storeRequestBody(request, staging.bodyPath);
    const { algorithm, value } = payload.checksum;
    const record = await bucket.put(permit, staging, {
      ...metadata,
      size: payload.size,
      etag: payload.md5.toString('hex'),
      checksum: { algorithm, value, type: 'FULL_OBJECT' },
    });
    return { status: 200, headers: { ...writtenHeaders(bucket, record), 'content-length': '0' } };
  });
}

/** Copies within or between buckets; the source may be in any region, the destination is in the caller's. */
export async function copyObject(request: S3Request, context: S3Context): Promise<Answer> {
  const bucket = requestBucket(request, context);
  const key = requestKey(request);
  const source = parseCopySource(header(request.headers, 'x-amz-copy-source') ?? '');
  const sourceRegion = context.buckets.find(source.bucket)?.region ?? request.region;
  const sourceBucket = context.buckets.resolve(source.bucket, sourceRegion);
  const permit = bucket.permitWrite(key, parseWriteCondition(request.headers));
  const replacesMetadata = parseMetadataDirective(request.headers);
  const requestMetadata = readObjectMetadata(request.headers);
  if (sourceBucket === bucket && source.key === key && source.versionId === undefined && !replacesMetadata) {
    throw invalidRequest('This copy request is illegal because it is trying to copy an object to itself unchanged.');
  }
  if (sourceBucket.lookUp(source.key, source.versionId).deleteMarker) {
    throw invalidRequest('The source of a copy request may not specifically refer to a delete marker by version id.');
  }
  const { record: original, file } = await sourceBucket.openBody(source.key, source.versionId);
  try {
    if (isUnmodified(request.headers, original, COPY_SOURCE_CONDITIONS))
      throw preconditionFailed('x-amz-copy-source-if');
    const algorithm = copyChecksumAlgorithm(request.headers) ?? original.checksum?.algorithm;
    return await bucket.files.stage(async (staging) => {
      const bytes = file.createReadStream({ autoClose: false });
      const stored = await storeBytes(bytes, staging.bodyPath, algorithm ?? DEFAULT_CHECKSUM_ALGORITHM);
      const record = await bucket.put(permit, staging, {
        systemHeaders: replacesMetadata ? requestMetadata.systemHeaders : original.systemHeaders,
        userMetadata: replacesMetadata ? requestMetadata.userMetadata : original.userMetadata,
        size: stored.size,
        etag: stored.md5.toString('hex'),
        checksum: { algorithm: algorithm ?? DEFAULT_CHECKSUM_ALGORITHM, value: stored.checksum, type: 'FULL_OBJECT' },
      });
      return xmlAnswer(
        'CopyObjectResult',
        { ETag: quotedEtag(record), LastModified: record.lastModified },
        {
          ...versionHeader(bucket, record.versionId),
          ...(sourceBucket.versioning === 'Disabled' ? {} : { 'x-amz-copy-source-version-id': original.versionId }),
        },
      );
    });
  } finally {
    await file.close();
  }
}

/** Reads `bucket/key?versionId=..`, with or without a leading slash. */
function parseCopySource(text: string): { bucket: string; key: string; versionId: string | undefined } {
  const { path, query } = splitTarget(text.replace(/^\//, ''));
  const slash = path.indexOf('/');
  if (slash <= 0 || slash === path.length - 1) throw invalidArgument('x-amz-copy-source', text, 'bucket/key');
  return {
    bucket: decodeOrRefuse(path.slice(0, slash)),
    key: decodeKey(path.slice(slash + 1)),
    versionId: query.get('versionId') ?? undefined,
  };
}

/** Whether the copy takes its metadata from the request instead of from the source. */
function parseMetadataDirective(headers: IncomingHttpHeaders): boolean {
  const directive = header(headers, 'x-amz-metadata-directive') ?? 'COPY';
  if (directive !== 'COPY' && directive !== 'REPLACE') {
    throw new S3Error('InvalidArgument', 400, `Unknown metadata directive "${directive}"; use COPY or REPLACE.`);
  }
  return directive === 'REPLACE';
}

function copyChecksumAlgorithm(headers: IncomingHttpHeaders): ReturnType<typeof parseChecksumAlgorithm> | undefined {
  const name = header(headers, 'x-amz-checksum-algorithm');
  return name === undefined ? undefined : parseChecksumAlgorithm(name, 'x-amz-checksum-algorithm');
}
