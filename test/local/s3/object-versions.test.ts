import files from 'node:fs/promises';
import {
  CopyObjectCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListBucketsCommand,
  ListObjectsCommand,
  PutBucketPolicyCommand,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { bucketSpec, failure, objectsOf, type RunningS3, startS3, THREE_BUCKETS } from './support';

const Bucket = 'models';
let running: RunningS3;
let client: S3Client;

beforeAll(async () => {
  running = await startS3(THREE_BUCKETS);
  client = running.client();
});
afterAll(() => running.stop());
afterEach(() => jest.restoreAllMocks());

const { put, text } = objectsOf(Bucket, () => client);

describe('versions', () => {
  it('keeps what is overwritten, and hides behind a delete marker', async () => {
    const first = await put('versioned', 'one');
    await put('versioned', 'two');
    expect(await text('versioned', { VersionId: first.VersionId })).toBe('one');
    const marker = await client.send(new DeleteObjectCommand({ Bucket, Key: 'versioned' }));
    expect(marker).toMatchObject({ DeleteMarker: true });
    expect(await failure(text('versioned'))).toMatchObject({ name: 'NoSuchKey' });
    const readMarker = failure(text('versioned', { VersionId: marker.VersionId }));
    expect(await readMarker).toMatchObject({ name: 'MethodNotAllowed', status: 405 });
    await client.send(new DeleteObjectCommand({ Bucket, Key: 'versioned', VersionId: marker.VersionId }));
    expect(await text('versioned')).toBe('two');
    expect(await failure(text('versioned', { VersionId: 'unknown' }))).toMatchObject({ name: 'NoSuchVersion' });
  });

  it('keeps one version where versioning is off', async () => {
    const plain = { Bucket: 'plain', Key: 'k' };
    await client.send(new PutObjectCommand({ ...plain, Body: 'one' }));
    const second = await client.send(new PutObjectCommand({ ...plain, Body: 'two' }));
    expect(second.VersionId).toBeUndefined();
    const read = await client.send(new GetObjectCommand(plain));
    expect(await read.Body?.transformToString()).toBe('two');
    await client.send(new DeleteObjectCommand(plain));
    expect(await failure(client.send(new GetObjectCommand(plain)))).toMatchObject({ name: 'NoSuchKey' });
  });

  it('deletes many at once and says which', async () => {
    const one = await put('many/1', 'x');
    await put('many/2', 'x');
    const answer = await client.send(
      new DeleteObjectsCommand({
        Bucket,
        Delete: {
          Objects: [{ Key: 'many/1', VersionId: one.VersionId }, { Key: 'many/2' }, { Key: 'many/2', ETag: '"no"' }],
        },
      }),
    );
    expect(answer.Deleted).toHaveLength(2);
    expect(answer.Deleted).toContainEqual({ Key: 'many/1', VersionId: one.VersionId });
    expect(answer.Deleted).toContainEqual(expect.objectContaining({ Key: 'many/2', DeleteMarker: true }));
    expect(answer.Errors).toEqual([expect.objectContaining({ Key: 'many/2', Code: 'NoSuchKey' })]);
    expect(await failure(text('many/2'))).toMatchObject({ name: 'NoSuchKey' });
  });

  it('has everything after a restart, and nothing half written', async () => {
    const first = await put('kept', 'one', { Metadata: { a: 'b' } });
    await put('kept', 'two');
    await files.mkdir(`${running.rootDir}/buckets/${Bucket}/incoming/interrupted`);
    await running.restart([bucketSpec(Bucket), bucketSpec('plain', { versioning: 'Disabled' })]);
    expect(await text('kept')).toBe('two');
    const old = await client.send(new GetObjectCommand({ Bucket, Key: 'kept', VersionId: first.VersionId }));
    expect(old.Metadata).toEqual({ a: 'b' });
    expect(await old.Body?.transformToString()).toBe('one');
    expect(await files.readdir(`${running.rootDir}/buckets/${Bucket}/incoming`)).toEqual([]);
    await running.restart([bucketSpec(Bucket), bucketSpec('plain', { versioning: 'Disabled' }), paris]);
  });
});

const paris = bucketSpec('paris', { region: 'eu-west-3' });

describe('copying', () => {
  it('copies between regions, with the metadata of the source or its own', async () => {
    const source = await put('source é', 'body', { Metadata: { kept: 'yes' }, ContentType: 'text/plain' });
    const parisClient = running.client('eu-west-3');
    const CopySource = `${Bucket}/${encodeURIComponent('source é')}`;
    const copied = await parisClient.send(new CopyObjectCommand({ Bucket: 'paris', Key: 'copy', CopySource }));
    expect(copied).toMatchObject({ CopySourceVersionId: source.VersionId, CopyObjectResult: { ETag: source.ETag } });
    const read = await parisClient.send(new GetObjectCommand({ Bucket: 'paris', Key: 'copy' }));
    expect(read).toMatchObject({ ContentType: 'text/plain', Metadata: { kept: 'yes' }, VersionId: copied.VersionId });
    expect(await read.Body?.transformToString()).toBe('body');
    await parisClient.send(
      new CopyObjectCommand({
        Bucket: 'paris',
        Key: 'copy',
        CopySource: `${CopySource}?versionId=${source.VersionId}`,
        MetadataDirective: 'REPLACE',
        Metadata: { own: 'yes' },
      }),
    );
    const replaced = await parisClient.send(new HeadObjectCommand({ Bucket: 'paris', Key: 'copy' }));
    expect(replaced.Metadata).toEqual({ own: 'yes' });
  });

  it('refuses a copy whose source condition does not hold, and one onto itself', async () => {
    await put('self', 'x');
    const copy = (more: object) =>
      failure(client.send(new CopyObjectCommand({ Bucket, Key: 'self', CopySource: `${Bucket}/self`, ...more })));
    expect(await copy({})).toMatchObject({ name: 'InvalidRequest' });
    expect(await copy({ MetadataDirective: 'REPLACE', CopySourceIfMatch: '"no"' })).toMatchObject({ status: 412 });
  });
});

describe('regions and the unknown', () => {
  it('sends a caller of the wrong region away, and the SDK follows', async () => {
    const head = new HeadBucketCommand({ Bucket: 'paris' });
    expect(await failure(client.send(head))).toMatchObject({ status: 301 });
    const get = client.send(new GetObjectCommand({ Bucket: 'paris', Key: 'x' }));
    expect(await failure(get)).toMatchObject({ name: 'PermanentRedirect', status: 301 });
    const following = running.client('us-east-1', { followRegionRedirects: true });
    const answer = await following.send(new HeadBucketCommand({ Bucket: 'paris' }));
    expect(answer.BucketRegion).toBe('eu-west-3');
  });

  it.each([
    ['ListBuckets', new ListBucketsCommand({})],
    ['ListObjects', new ListObjectsCommand({ Bucket })],
    ['GetObjectTagging', new GetObjectTaggingCommand({ Bucket, Key: 'x' })],
    ['PutBucketPolicy', new PutBucketPolicyCommand({ Bucket, Policy: '{}' })],
  ])('answers 501 to %s and names it', async (name, command) => {
    const send: (each: typeof command) => Promise<unknown> = (each) => client.send(each as ListBucketsCommand);
    const refused = await failure(send(command));
    expect(refused).toMatchObject({ name: 'NotImplemented', status: 501 });
    expect(refused.message).toContain(name);
  });

  it.each([
    ['x-amz-tagging', { Tagging: 'a=b' }],
    ['aws:kms', { ServerSideEncryption: 'aws:kms' as const }],
    ['GLACIER', { StorageClass: 'GLACIER' as const }],
  ])('refuses the option %s', async (name, option) => {
    const refused = await failure(put('option', 'x', option));
    expect(refused).toMatchObject({ name: 'NotImplemented' });
    expect(refused.message).toContain(name);
  });
});
