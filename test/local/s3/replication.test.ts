import { DeleteObjectCommand, GetObjectCommand, HeadObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import type { ReplicationRule } from '../../../local/s3/replication-rules';
import { bucketSpec, failure, type RunningS3, startS3 } from './support';

const rule = (destinationBucket: string, more: Partial<ReplicationRule> = {}): ReplicationRule => ({
  destinationBucket,
  prefix: '',
  priority: 1,
  replicatesDeleteMarkers: false,
  ...more,
});
const dublin = bucketSpec('dublin', { region: 'eu-west-1' });
const tokyo = bucketSpec('tokyo', { region: 'ap-northeast-1', replicationRules: [rule('dublin')] });
const home = bucketSpec('home', {
  replicationRules: [rule('dublin', { replicatesDeleteMarkers: true }), rule('tokyo', { prefix: 'models/' })],
});

let running: RunningS3;
beforeEach(async () => {
  running = await startS3([dublin, tokyo, home]);
});
afterEach(() => running.stop());

const put = (Key: string, Body = 'body') =>
  running
    .client()
    .send(new PutObjectCommand({ Bucket: 'home', Key, Body, Metadata: { a: 'b' }, ContentType: 'text/x' }));
const head = (Bucket: string, region: string, Key: string) =>
  running.client(region).send(new HeadObjectCommand({ Bucket, Key }));
const replicate = async (): Promise<void> => {
  running.clock.advance(100);
  await running.s3.replicationIdle();
};

it('brings a version, with its id and metadata, to each destination when it is due', async () => {
  const written = await put('models/m');
  expect(await head('home', 'us-east-1', 'models/m')).toMatchObject({ ReplicationStatus: 'PENDING' });
  expect(await failure(head('dublin', 'eu-west-1', 'models/m'))).toMatchObject({ status: 404 });
  running.clock.advance(99);
  expect(await failure(head('dublin', 'eu-west-1', 'models/m'))).toMatchObject({ status: 404 });
  await replicate();
  expect(await head('home', 'us-east-1', 'models/m')).toMatchObject({ ReplicationStatus: 'COMPLETED' });
  for (const [bucket, region] of [
    ['dublin', 'eu-west-1'],
    ['tokyo', 'ap-northeast-1'],
  ] as const) {
    const read = await running.client(region).send(new GetObjectCommand({ Bucket: bucket, Key: 'models/m' }));
    expect(await read.Body?.transformToString()).toBe('body');
    expect(read).toMatchObject({
      ReplicationStatus: 'REPLICA',
      VersionId: written.VersionId,
      ETag: written.ETag,
      ContentType: 'text/x',
      Metadata: { a: 'b' },
    });
  }
});

it('follows the prefix of each rule', async () => {
  await put('channels/m.json');
  await replicate();
  expect(await head('dublin', 'eu-west-1', 'channels/m.json')).toMatchObject({ ReplicationStatus: 'REPLICA' });
  expect(await failure(head('tokyo', 'ap-northeast-1', 'channels/m.json'))).toMatchObject({ status: 404 });
});

it('keeps the order of writes to one key', async () => {
  await put('models/m', 'one');
  await put('models/m', 'two');
  await replicate();
  const read = await running.client('eu-west-1').send(new GetObjectCommand({ Bucket: 'dublin', Key: 'models/m' }));
  expect(await read.Body?.transformToString()).toBe('two');
});

it('replicates delete markers only by the rules that say so, and never the deletion of a version', async () => {
  const { VersionId } = await put('models/m');
  await replicate();
  await running.client().send(new DeleteObjectCommand({ Bucket: 'home', Key: 'models/m' }));
  await running.client().send(new DeleteObjectCommand({ Bucket: 'home', Key: 'models/m', VersionId }));
  await replicate();
  expect(await failure(head('dublin', 'eu-west-1', 'models/m'))).toMatchObject({ status: 404 });
  expect(await head('tokyo', 'ap-northeast-1', 'models/m')).toMatchObject({ VersionId });
  const dublinVersion = new HeadObjectCommand({ Bucket: 'dublin', Key: 'models/m', VersionId });
  expect(await running.client('eu-west-1').send(dublinVersion)).toMatchObject({ VersionId });
});

it('does not pass replicas on', async () => {
  await put('models/m');
  await replicate();
  await replicate();
  const inTokyo = await head('tokyo', 'ap-northeast-1', 'models/m');
  expect(inTokyo.ReplicationStatus).toBe('REPLICA');
  expect(running.log).toEqual([]);
});

it('fails with the reason in the log when a destination has gone', async () => {
  await put('models/m');
  await running.s3.closeBucket('tokyo');
  await replicate();
  expect(await head('home', 'us-east-1', 'models/m')).toMatchObject({ ReplicationStatus: 'FAILED' });
  expect(running.log).toEqual([expect.stringMatching(/home\/models\/m .* to tokyo failed: .*there is no tokyo/)]);
  expect(await head('dublin', 'eu-west-1', 'models/m')).toMatchObject({ ReplicationStatus: 'REPLICA' });
});

it('goes on after a restart', async () => {
  await put('models/m');
  const s3 = await running.restart([dublin, tokyo, home]);
  running.clock.advance(100);
  await s3.replicationIdle();
  expect(await head('home', 'us-east-1', 'models/m')).toMatchObject({ ReplicationStatus: 'COMPLETED' });
  expect(await head('tokyo', 'ap-northeast-1', 'models/m')).toMatchObject({ ReplicationStatus: 'REPLICA' });
});

it('refuses rules whose source or destination is not versioned or not there', async () => {
  const { s3 } = running;
  const create = (name: string, versioning: 'Enabled' | 'Disabled', destination: string) =>
    s3.createBucket(bucketSpec(name, { versioning, replicationRules: [rule(destination)] }));
  await expect(create('a-source', 'Disabled', 'dublin')).rejects.toThrow(
    /Versioning must be 'Enabled' on the bucket a-source/,
  );
  await expect(create('b-source', 'Enabled', 'nowhere')).rejects.toThrow(/must exist: there is no nowhere/);
  await s3.createBucket(bucketSpec('unversioned', { versioning: 'Disabled' }));
  await expect(create('c-source', 'Enabled', 'unversioned')).rejects.toThrow(
    /must have versioning enabled: unversioned/,
  );
});
