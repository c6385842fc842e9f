import type { IncomingHttpHeaders } from 'node:http';
import {
  type ChecksumAlgorithm,
  type ChecksumType,
  checksumElement,
  checksumHeader,
  compositeChecksum,
  createDigest,
  DEFAULT_CHECKSUM_ALGORITHM,
  parseChecksumAlgorithm,
} from '../checksum';
import { badDigest, invalidArgument, invalidRequest, malformedXml, S3Error } from '../errors';
import type { Part, Upload } from '../multipart-uploads';
import { type PayloadChecksum, receiveText } from '../payload';
import { parseWriteCondition } from '../preconditions';
import { type Answer, header, type S3Request } from '../request';
import { storeBytes, storeRequestBody } from '../staged-body';
import { quotedEtag, type StoredChecksum } from '../version-record';
import { elements, parseRequestXml, textOf } from '../xml';
import { queryValue, requestBucket, requestKey, type S3Context, xmlAnswer } from './context';
import { readObjectMetadata, versionHeader } from './object-headers';

/** Every part but the last has at least this size. */
const MIN_PART_BYTES = 5 * 1024 * 1024;
const MAX_PART_NUMBER = 10_000;
const MAX_DOCUMENT_BYTES = 4 * 1024 * 1024;
const MAX_PARTS_PER_PAGE = 1000;

export async function createMultipartUpload(request: S3Request, context: S3Context): Promise<Answer> {
  const bucket = requestBucket(request, context);
  const key = requestKey(request);
  const checksum = readUploadChecksum(request.headers);
  const uploadId = await context.uploads.create({
    bucket: bucket.name,
    key,
    initiated: context.clock.now().toISOString(),
    ...readObjectMetadata(request.headers),
    ...checksum,
  });
  return xmlAnswer(
    'InitiateMultipartUploadResult',
    { Bucket: bucket.name, Key: key, UploadId: uploadId },
    checksum.requestedAlgorithm === undefined
      ? {}
      : {
          'x-amz-checksum-algorithm': checksum.requestedAlgorithm.toUpperCase(),
          'x-amz-checksum-type': checksum.checksumType,
        },
  );
}

export async function uploadPart(request: S3Request, context: S3Context): Promise<Answer> {
  const bucket = requestBucket(request, context);
  const uploadId = queryValue(request, 'uploadId') ?? '';
  const number = parsePartNumber(queryValue(request, 'partNumber') ?? '');
  const upload = await context.uploads.find(bucket.name, requestKey(request), uploadId);
  return bucket.files.stage(async (staging) => {
    const payload = await storeRequestBody(request, staging.bodyPath);
    requireUploadAlgorithm(upload, payload.checksum);
    const etag = payload.md5.toString('hex');
    const { algorithm: checksumAlgorithm, value: checksum } = payload.checksum;
    const lastModified = context.clock.now().toISOString();
    await context.uploads.putPart(
      uploadId,
      { number, size: payload.size, etag, checksumAlgorithm, checksum, lastModified },
      staging.bodyPath,
    );
    return {
      status: 200,
      headers: {
        etag: quotedEtag({ etag }),
        [checksumHeader(checksumAlgorithm)]: checksum,
        'content-length': '0',
      },
    };
  });
}

export async function completeMultipartUpload(request: S3Request, context: S3Context): Promise<Answer> {
  const bucket = requestBucket(request, context);
  const key = requestKey(request);
  const uploadId = queryValue(request, 'uploadId') ?? '';
  const upload = await context.uploads.find(bucket.name, key, uploadId);
  const permit = bucket.permitWrite(key, parseWriteCondition(request.headers));
  const claims = parseClaims(await receiveText(request, MAX_DOCUMENT_BYTES));
  const parts = matchParts(claims, await context.uploads.parts(uploadId), upload);
  return bucket.files.stage(async (staging) => {
    const bytes = context.uploads.read(uploadId, parts);
    const stored = await storeBytes(bytes, staging.bodyPath, algorithmOf(upload));
    const checksum = uploadChecksum(upload, parts, stored.checksum);
    requireAnnouncedChecksum(request.headers, checksum);
    const { systemHeaders, userMetadata } = upload;
    const etag = multipartEtag(parts);
    const record = await bucket.put(permit, staging, {
      systemHeaders,
      userMetadata,
      size: stored.size,
      etag,
      checksum,
    });
    await context.uploads.remove(uploadId);
    return xmlAnswer(
      'CompleteMultipartUploadResult',
      {
        Location: `http://${bucket.name}.s3.${bucket.region}.amazonaws.com/${encodeURIComponent(key)}`,
        Bucket: bucket.name,
        Key: key,
        ETag: quotedEtag(record),
        [checksumElement(checksum.algorithm)]: checksum.value,
        ChecksumType: checksum.type,
      },
      versionHeader(bucket, record.versionId),
    );
  });
}

export async function abortMultipartUpload(request: S3Request, context: S3Context): Promise<Answer> {
  const bucket = requestBucket(request, context);
  const uploadId = queryValue(request, 'uploadId') ?? '';
  await context.uploads.find(bucket.name, requestKey(request), uploadId);
  await context.uploads.remove(uploadId);
  return { status: 204, headers: {} };
}

export async function listParts(request: S3Request, context: S3Context): Promise<Answer> {
  const bucket = requestBucket(request, context);
  const key = requestKey(request);
  const uploadId = queryValue(request, 'uploadId') ?? '';
  await context.uploads.find(bucket.name, key, uploadId);
  const marker = readCount(request, 'part-number-marker', 0);
  const maxParts = Math.min(readCount(request, 'max-parts', MAX_PARTS_PER_PAGE), MAX_PARTS_PER_PAGE);
  const rest = (await context.uploads.parts(uploadId)).filter((part) => part.number > marker);
  const page = rest.slice(0, maxParts);
  return xmlAnswer('ListPartsResult', {
    Bucket: bucket.name,
    Key: key,
    UploadId: uploadId,
    PartNumberMarker: marker,
    NextPartNumberMarker: page.at(-1)?.number ?? marker,
    MaxParts: maxParts,
    IsTruncated: rest.length > page.length,
    Part: page.map((part) => ({
      PartNumber: part.number,
      LastModified: part.lastModified,
      ETag: quotedEtag(part),
      [checksumElement(part.checksumAlgorithm)]: part.checksum,
      Size: part.size,
    })),
    StorageClass: 'STANDARD',
  });
}

/** The type defaults as in the S3 User Guide, "Checking object integrity": composite, but for CRC64NVME. */
function readUploadChecksum(headers: IncomingHttpHeaders): Pick<Upload, 'requestedAlgorithm' | 'checksumType'> {
  const name = header(headers, 'x-amz-checksum-algorithm');
  const type = header(headers, 'x-amz-checksum-type');
  if (name === undefined) {
    if (type !== undefined) throw invalidRequest('x-amz-checksum-type needs x-amz-checksum-algorithm beside it.');
    return { checksumType: 'FULL_OBJECT' };
  }
  const requestedAlgorithm = parseChecksumAlgorithm(name, 'x-amz-checksum-algorithm');
  return { requestedAlgorithm, checksumType: parseChecksumType(type, requestedAlgorithm) };
}

function parseChecksumType(type: string | undefined, algorithm: ChecksumAlgorithm): ChecksumType {
  const checksumType = type ?? (algorithm === 'crc64nvme' ? 'FULL_OBJECT' : 'COMPOSITE');
  if (checksumType !== 'FULL_OBJECT' && checksumType !== 'COMPOSITE') {
    throw invalidArgument('x-amz-checksum-type', checksumType, 'FULL_OBJECT or COMPOSITE');
  }
  const impossible =
    checksumType === 'COMPOSITE' ? algorithm === 'crc64nvme' : algorithm === 'sha1' || algorithm === 'sha256';
  if (impossible) {
    throw invalidRequest(`The ${checksumType} checksum type cannot be used with the ${algorithm} checksum algorithm.`);
  }
  return checksumType;
}

function algorithmOf(upload: Upload): ChecksumAlgorithm {
  return upload.requestedAlgorithm ?? DEFAULT_CHECKSUM_ALGORITHM;
}

/** An upload that named no algorithm takes parts with any: the SDK adds a CRC32 to parts by itself. */
function requireUploadAlgorithm({ requestedAlgorithm: expected }: Upload, checksum: PayloadChecksum): void {
  const actual = checksum.requested ? checksum.algorithm : undefined;
  if (expected === undefined || expected === actual) return;
  throw invalidRequest(
    `Checksum Type mismatch occurred, expected checksum Type: ${expected}, actual checksum Type: ${actual ?? 'null'}`,
  );
}

/** What the client says of a part when it completes the upload. */
interface PartClaim {
  readonly number: number;
  readonly etag: string;
  /** Base64; clients may leave it out. */
  checksum(algorithm: ChecksumAlgorithm): string | undefined;
}

function parseClaims(text: string): PartClaim[] {
  const claims = elements(parseRequestXml(text, 'CompleteMultipartUpload'), 'Part').map((part) => ({
    number: parsePartNumber(textOf(part, 'PartNumber') ?? ''),
    etag: (textOf(part, 'ETag') ?? '').replace(/^"|"$/g, ''),
    checksum: (algorithm: ChecksumAlgorithm) => textOf(part, checksumElement(algorithm)),
  }));
  if (claims.length === 0) throw malformedXml('it names no part.');
  return claims;
}

function matchParts(claims: readonly PartClaim[], parts: readonly Part[], upload: Upload): Part[] {
  const byNumber = new Map(parts.map((part) => [part.number, part]));
  const descends = claims.some((claim, index) => claim.number <= (claims[index - 1]?.number ?? 0));
  if (descends) throw new S3Error('InvalidPartOrder', 400, 'The list of parts was not in ascending order.');
  return claims.map((claim, index) => {
    const part = byNumber.get(claim.number);
    requireClaimedChecksum(claim, upload);
    if (part?.etag !== claim.etag || !checksumAgrees(claim, part)) throw invalidPart(claim);
    if (index < claims.length - 1 && part.size < MIN_PART_BYTES) throw tooSmall(part);
    return part;
  });
}

function checksumAgrees(claim: PartClaim, part: Part): boolean {
  const claimed = claim.checksum(part.checksumAlgorithm);
  return claimed === undefined || claimed === part.checksum;
}

function requireClaimedChecksum(claim: PartClaim, { requestedAlgorithm, checksumType }: Upload): void {
  if (requestedAlgorithm === undefined || checksumType !== 'COMPOSITE') return;
  if (claim.checksum(requestedAlgorithm) !== undefined) return;
  throw invalidRequest(
    `The upload was created using a ${requestedAlgorithm} checksum. The complete request must include the checksum for each part. It was missing for part ${claim.number} in the request.`,
  );
}

function invalidPart(claim: PartClaim): S3Error {
  return new S3Error(
    'InvalidPart',
    400,
    "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.",
    { PartNumber: String(claim.number), ETag: claim.etag },
  );
}

function tooSmall(part: Part): S3Error {
  return new S3Error('EntityTooSmall', 400, 'Your proposed upload is smaller than the minimum allowed size', {
    PartNumber: String(part.number),
    ProposedSize: String(part.size),
    MinSizeAllowed: String(MIN_PART_BYTES),
  });
}

function uploadChecksum(upload: Upload, parts: readonly Part[], ofBytes: string): StoredChecksum {
  const algorithm = algorithmOf(upload);
  const type = upload.checksumType;
  const partChecksums = parts.map((part) => part.checksum);
  return { algorithm, type, value: type === 'FULL_OBJECT' ? ofBytes : compositeChecksum(algorithm, partChecksums) };
}

/** A complete request may bring the checksum that the whole object must turn out to have. */
function requireAnnouncedChecksum(headers: IncomingHttpHeaders, checksum: StoredChecksum): void {
  const type = header(headers, 'x-amz-checksum-type');
  if (type === undefined) return;
  const announced = header(headers, checksumHeader(checksum.algorithm));
  if (type !== checksum.type || (announced !== undefined && announced !== checksum.value)) {
    throw badDigest(`The ${checksum.algorithm.toUpperCase()} you specified did not match the calculated checksum.`);
  }
}

/** Hex MD5 over the MD5s of the parts, and how many there are. */
function multipartEtag(parts: readonly Part[]): string {
  const digest = createDigest('md5');
  for (const part of parts) digest.update(Buffer.from(part.etag, 'hex'));
  return `${digest.finish().toString('hex')}-${parts.length}`;
}

function parsePartNumber(text: string): number {
  const number = /^\d+$/.test(text) ? Number(text) : 0;
  if (number < 1 || number > MAX_PART_NUMBER) {
    throw invalidArgument('partNumber', text, `a whole number from 1 to ${MAX_PART_NUMBER}`);
  }
  return number;
}

function readCount(request: S3Request, name: string, fallback: number): number {
  const text = queryValue(request, name);
  if (text === undefined) return fallback;
  if (!/^\d+$/.test(text)) throw invalidArgument(name, text, 'a whole number from 0');
  return Number(text);
}
