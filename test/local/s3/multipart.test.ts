import { createHash, randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import {
  AbortMultipartUploadCommand,
  type ChecksumAlgorithm,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  ListPartsCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { bucketSpec, failure, type RunningS3, startS3 } from './support';

const Bucket = 'models';
const PART_BYTES = 5 * 1024 * 1024;
let running: RunningS3;
let client: S3Client;

beforeAll(async () => {
  running = await startS3([bucketSpec(Bucket)]);
  client = running.client();
});
afterAll(() => running.stop());

async function begin(Key: string, more: object = {}): Promise<string> {
  const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key, ...more }));
  return UploadId ?? '';
}

async function uploadPart(
  Key: string,
  UploadId: string,
  PartNumber: number,
  Body: Buffer,
  more: { ChecksumAlgorithm?: ChecksumAlgorithm } = {},
): Promise<CompletedPart> {
  const answer = await client.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber, Body, ...more }));
  const { ETag, ChecksumCRC32, ChecksumSHA256, ChecksumCRC64NVME } = answer;
  return { PartNumber, ETag, ChecksumCRC32, ChecksumSHA256, ChecksumCRC64NVME };
}

const complete = (Key: string, UploadId: string, Parts: CompletedPart[], more: object = {}) =>
  client.send(new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts }, ...more }));

const md5 = (data: Buffer): Buffer => createHash('md5').update(data).digest();

describe('an upload in parts', () => {
  const first = randomBytes(PART_BYTES);
  const second = randomBytes(1000);

  it('becomes one object, with the checksum and the ETag of its parts', async () => {
    const UploadId = await begin('big', {
      ContentType: 'application/onnx',
      Metadata: { a: 'b' },
      ChecksumAlgorithm: 'SHA256',
    });
    const sha = { ChecksumAlgorithm: 'SHA256' } as const;
    const parts = [
      await uploadPart('big', UploadId, 1, randomBytes(10), sha),
      await uploadPart('big', UploadId, 3, second, sha),
    ];
    parts[0] = await uploadPart('big', UploadId, 1, first, sha);
    const listed = await client.send(new ListPartsCommand({ Bucket, Key: 'big', UploadId }));
    expect(listed.Parts?.map(({ PartNumber, Size }) => [PartNumber, Size])).toEqual([
      [1, PART_BYTES],
      [3, 1000],
    ]);
    expect(
      await failure(
        complete(
          'big',
          UploadId,
          parts.map(({ PartNumber, ETag }) => ({ PartNumber, ETag })),
        ),
      ),
    ).toMatchObject({
      name: 'InvalidRequest',
    });
    const done = await complete('big', UploadId, parts);
    const ETag = `"${createHash('md5')
      .update(Buffer.concat([md5(first), md5(second)]))
      .digest('hex')}-2"`;
    expect(done.ETag).toBe(ETag);
    const read = await client.send(new GetObjectCommand({ Bucket, Key: 'big', ChecksumMode: 'ENABLED' }));
    expect(read).toMatchObject({
      ETag,
      ContentType: 'application/onnx',
      Metadata: { a: 'b' },
      ChecksumType: 'COMPOSITE',
    });
    const bytes = Buffer.from((await read.Body?.transformToByteArray()) ?? []);
    expect(bytes.equals(Buffer.concat([first, second]))).toBe(true);
    expect(await readdir(`${running.rootDir}/uploads`)).toEqual([]);
  });

  it('has a checksum of the whole object where that was asked for', async () => {
    const crc = { ChecksumAlgorithm: 'CRC32' } as const;
    const UploadId = await begin('whole', { ...crc, ChecksumType: 'FULL_OBJECT' });
    const parts = [
      await uploadPart('whole', UploadId, 1, first, crc),
      await uploadPart('whole', UploadId, 2, second, crc),
    ];
    const done = await complete('whole', UploadId, parts);
    const single = await client.send(
      new PutObjectCommand({ Bucket, Key: 'single', Body: Buffer.concat([first, second]) }),
    );
    expect(done.ChecksumType).toBe('FULL_OBJECT');
    expect(done.ChecksumCRC32).toBe(single.ChecksumCRC32);
  });

  it("works with the SDK's defaults", async () => {
    const UploadId = await begin('defaults');
    await complete('defaults', UploadId, [await uploadPart('defaults', UploadId, 1, second)]);
    const read = await client.send(new GetObjectCommand({ Bucket, Key: 'defaults' }));
    expect(Buffer.from((await read.Body?.transformToByteArray()) ?? []).equals(second)).toBe(true);
  });

  it('is refused with parts that are too small, out of order or unknown', async () => {
    const UploadId = await begin('bad');
    const one = await uploadPart('bad', UploadId, 1, second);
    const two = await uploadPart('bad', UploadId, 2, second);
    expect(await failure(complete('bad', UploadId, [one, two]))).toMatchObject({ name: 'EntityTooSmall' });
    expect(await failure(complete('bad', UploadId, [two, one]))).toMatchObject({ name: 'InvalidPartOrder' });
    expect(await failure(complete('bad', UploadId, [{ ...one, PartNumber: 9 }]))).toMatchObject({
      name: 'InvalidPart',
    });
    expect(await failure(complete('bad', UploadId, [{ ...one, ETag: '"0"' }]))).toMatchObject({ name: 'InvalidPart' });
  });

  it('does not replace an object under If-None-Match', async () => {
    await client.send(new PutObjectCommand({ Bucket, Key: 'taken', Body: 'x' }));
    const UploadId = await begin('taken');
    const part = await uploadPart('taken', UploadId, 1, second);
    expect(await failure(complete('taken', UploadId, [part], { IfNoneMatch: '*' }))).toMatchObject({ status: 412 });
  });

  it('is gone once aborted', async () => {
    const UploadId = await begin('aborted');
    await uploadPart('aborted', UploadId, 1, second);
    await client.send(new AbortMultipartUploadCommand({ Bucket, Key: 'aborted', UploadId }));
    expect(await failure(uploadPart('aborted', UploadId, 2, second))).toMatchObject({
      name: 'NoSuchUpload',
      status: 404,
    });
    const otherKey = client.send(new ListPartsCommand({ Bucket, Key: 'other', UploadId: await begin('mine') }));
    expect(await failure(otherKey)).toMatchObject({ name: 'NoSuchUpload' });
  });
});
