import { createHash } from 'node:crypto';
import { GetObjectCommand, HeadObjectCommand, PutObjectCommand, S3ServiceException } from '@aws-sdk/client-s3';
import { modelBucketName } from '../core/resource-names';
import { ControlError } from './errors';
import type { ControlPlane } from './plane';
import { pollUntil } from './polling';

/** An object of the home region's model bucket. */
export interface NewObject {
  readonly key: string;
  readonly body: Buffer;
  readonly contentType: string;
  readonly cacheControl: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** Condition of a write: create only, or replace exactly the object with this ETag. */
export type WriteCondition = 'create' | { readonly replace: string };

/** Lower-case hex SHA-256. */
export function sha256Hex(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/**
 * Writes an object on a condition; S3 checks its SHA-256 on arrival.
 * @returns false when the condition did not hold, and nothing was written
 */
export async function putObject(plane: ControlPlane, object: NewObject, condition: WriteCondition): Promise<boolean> {
  const conditionHeader = condition === 'create' ? { IfNoneMatch: '*' } : { IfMatch: condition.replace };
  try {
    await plane.clients.s3(plane.homeRegion).send(
      new PutObjectCommand({
        Bucket: homeBucket(plane),
        Key: object.key,
        Body: object.body,
        ContentLength: object.body.length,
        ContentType: object.contentType,
        CacheControl: object.cacheControl,
        ChecksumSHA256: Buffer.from(sha256Hex(object.body), 'hex').toString('base64'),
        ...(object.metadata ? { Metadata: { ...object.metadata } } : {}),
        ...conditionHeader,
      }),
    );
    return true;
  } catch (error) {
    if (hasStatus(error, 412, 409)) return false;
    throw error;
  }
}

/** Reads a whole small object; `undefined` when there is none. */
export async function getObject(
  plane: ControlPlane,
  key: string,
): Promise<{ readonly body: string; readonly etag: string } | undefined> {
  try {
    const answer = await plane.clients
      .s3(plane.homeRegion)
      .send(new GetObjectCommand({ Bucket: homeBucket(plane), Key: key }));
    if (!answer.Body || !answer.ETag) throw new ControlError(`S3 answered ${key} without a body or an ETag`);
    return { body: await answer.Body.transformToString('utf8'), etag: answer.ETag };
  } catch (error) {
    if (hasStatus(error, 404)) return undefined;
    throw error;
  }
}

/** Hex SHA-256 of an existing object as S3 computed it; `undefined` when it was stored without one, or in parts. */
export async function storedSha256(plane: ControlPlane, key: string): Promise<string | undefined> {
  const head = await plane.clients
    .s3(plane.homeRegion)
    .send(new HeadObjectCommand({ Bucket: homeBucket(plane), Key: key, ChecksumMode: 'ENABLED' }));
  const checksum = head.ChecksumSHA256;
  const isOfWholeObject = checksum !== undefined && !checksum.includes('-');
  return isOfWholeObject ? Buffer.from(checksum, 'base64').toString('hex') : undefined;
}

/**
 * Waits until an object is in every region.
 * @throws ControlError when S3 gave up, no replication rule covers the object, or time is over
 */
export async function awaitReplication(plane: ControlPlane, key: string, timeoutMs: number): Promise<void> {
  if (plane.regions.length < 2) return;
  const bucket = homeBucket(plane);
  const probe = async (): Promise<true | undefined> => {
    const head = await plane.clients.s3(plane.homeRegion).send(new HeadObjectCommand({ Bucket: bucket, Key: key }));
    // S3 documents COMPLETED and COMPLETE, and has answered with both.
    if (head.ReplicationStatus === 'COMPLETED' || head.ReplicationStatus === 'COMPLETE') return true;
    if (head.ReplicationStatus === 'PENDING') return undefined;
    if (head.ReplicationStatus === 'FAILED') {
      throw new ControlError(
        `replication of s3://${bucket}/${key} failed; see the bucket's replication rules and role`,
      );
    }
    throw new ControlError(`no replication rule of bucket ${bucket} covers ${key}, so other regions will not get it`);
  };
  await pollUntil(probe, {
    clock: plane.clock,
    timeoutMs,
    describe: () => `s3://${bucket}/${key} is not replicated to every region`,
  });
}

function homeBucket(plane: ControlPlane): string {
  return modelBucketName(plane.scope, plane.homeRegion);
}

function hasStatus(error: unknown, ...statuses: readonly number[]): boolean {
  return error instanceof S3ServiceException && statuses.includes(error.$metadata.httpStatusCode ?? 0);
}
