import '@aws-sdk/signature-v4a';
import { Agent } from 'node:http';
import type { LookupFunction } from 'node:net';
import {
  CloudFrontClient,
  CreateInvalidationCommand,
  DescribeKeyValueStoreCommand as DescribeStoreByName,
  type DistributionConfig,
  GetDistributionCommand,
  GetDistributionConfigCommand,
  GetInvalidationCommand,
  ListDistributionsCommand,
  ListInvalidationsCommand,
  PreconditionFailed,
  UpdateDistributionCommand,
} from '@aws-sdk/client-cloudfront';
import {
  CloudFrontKeyValueStoreClient,
  DeleteKeyCommand,
  DescribeKeyValueStoreCommand,
  GetKeyCommand,
  ListKeysCommand,
  PutKeyCommand,
  UpdateKeysCommand,
} from '@aws-sdk/client-cloudfront-keyvaluestore';
import { AwsFront } from '../../../local/aws-front/aws-front';
import type { KeyValueStore } from '../../../local/cloudfront/key-value-store';
import { SecurityGroups } from '../../../local/ec2/security-groups';
import { IamStandIn } from '../../../local/iam/iam-stand-in';
import { cacheResult, distributionConfig, TestCdn } from './harness';

let cdn: TestCdn;
let front: AwsFront;
let cloudFront: CloudFrontClient;
let values: CloudFrontKeyValueStoreClient;
let store: KeyValueStore;

/** Names below `localhost` are the loopback interface (RFC 6761); the SDK puts the account before it. */
const loopback: LookupFunction = (_name, options, callback) => {
  if (options.all) callback(null, [{ address: '127.0.0.1', family: 4 }]);
  else callback(null, '127.0.0.1', 4);
};

beforeEach(async () => {
  cdn = await TestCdn.start();
  cdn.deploy();
  store = cdn.cloudFront.registry.addKeyValueStore('22222222-0000-4000-8000-000000000000', 'live');
  const log = () => undefined;
  const iam = new IamStandIn('000000000000', log);
  const securityGroups = new SecurityGroups(log);
  front = await AwsFront.start({ account: '000000000000', log, iam, securityGroups, port: 0 });
  const operator = iam.operator();
  for (const api of cdn.cloudFront.apis) front.serve(api);
  const settings = {
    endpoint: `http://localhost:${front.port}`,
    region: 'us-east-1',
    credentials: { accessKeyId: operator.AWS_ACCESS_KEY_ID, secretAccessKey: operator.AWS_SECRET_ACCESS_KEY },
    requestHandler: { httpAgent: new Agent({ lookup: loopback }) },
    maxAttempts: 1,
  };
  cloudFront = new CloudFrontClient(settings);
  values = new CloudFrontKeyValueStoreClient(settings);
});
afterEach(async () => {
  cloudFront.destroy();
  values.destroy();
  await front.close();
  await cdn.stop();
});

describe('cloudfront', () => {
  test('a distribution is updated under the ETag that was read, and its POPs take it up one after the other', async () => {
    const Id = 'ETEST';
    const { ETag, DistributionConfig } = await cloudFront.send(new GetDistributionConfigCommand({ Id }));
    const [origin] = DistributionConfig?.Origins?.Items ?? [];
    if (!origin || !DistributionConfig) throw new Error('the distribution has no origin');
    const Items = [{ HeaderName: 'x-key', HeaderValue: 'new' }];
    origin.CustomHeaders = { Quantity: 1, Items };
    const update = (IfMatch: string | undefined, config: DistributionConfig) =>
      cloudFront.send(new UpdateDistributionCommand({ Id, IfMatch, DistributionConfig: config }));
    const sent = async (ip: string) => {
      await cdn.ask('/', { method: 'POST', headers: { 'x-viewer-ip': ip } });
      return cdn.origin.received.at(-1)?.headers['x-key'];
    };
    const viewers = ['1.21.10.10', '8.8.8.8', '2.125.160.216', '200.1.1.1', '41.1.1.1', '5.6.7.8'];

    const updated = await update(ETag, DistributionConfig);
    expect(updated.Distribution?.Status).toBe('InProgress');
    await expect(update(ETag, DistributionConfig)).rejects.toBeInstanceOf(PreconditionFailed);
    cdn.clock.advanceSeconds(1);
    const halfway = new Set<unknown>();
    for (const viewer of viewers) halfway.add(await sent(viewer));
    expect(halfway).toEqual(new Set([undefined, 'new']));
    cdn.clock.advanceSeconds(1);
    const read = await cloudFront.send(new GetDistributionCommand({ Id }));
    expect(read.Distribution?.Status).toBe('Deployed');
    expect(read.ETag).toBe(updated.ETag);
    for (const viewer of viewers) expect(await sent(viewer)).toBe('new');
  });

  test('an update that changes or leaves out anything but headers for origins is 501 and names it', async () => {
    const Id = 'ETEST';
    const { ETag, DistributionConfig } = await cloudFront.send(new GetDistributionConfigCommand({ Id }));
    if (!DistributionConfig) throw new Error('there is no configuration');
    const update = (config: DistributionConfig) =>
      cloudFront.send(new UpdateDistributionCommand({ Id, IfMatch: ETag, DistributionConfig: config }));
    await expect(update({ ...DistributionConfig, Enabled: false })).rejects.toThrow(
      'DistributionConfig.Enabled changes',
    );
    const { CacheTagConfig: _, ...without } = DistributionConfig;
    await expect(update(without)).rejects.toThrow('DistributionConfig.CacheTagConfig changes');
    expect((await cloudFront.send(new GetDistributionCommand({ Id }))).ETag).toBe(ETag);
  });

  const invalidate = (CallerReference: string, ...Items: string[]) =>
    cloudFront.send(
      new CreateInvalidationCommand({
        DistributionId: 'ETEST',
        InvalidationBatch: { CallerReference, Paths: { Quantity: Items.length, Items } },
      }),
    );

  test('an invalidation empties the POPs and can be asked for', async () => {
    await cdn.get('/a');
    const { Invalidation } = await invalidate('one', '/a', '#model:m');
    expect(cacheResult(await cdn.get('/a'))).toBe('Miss');
    const Id = Invalidation?.Id ?? '';
    const found = await cloudFront.send(new GetInvalidationCommand({ DistributionId: 'ETEST', Id }));
    expect(found.Invalidation).toMatchObject({
      Status: 'Completed',
      CreateTime: new Date(cdn.clock.now()),
      InvalidationBatch: { CallerReference: 'one', Paths: { Quantity: 2, Items: ['/a', '#model:m'] } },
    });
    const list = await cloudFront.send(new ListInvalidationsCommand({ DistributionId: 'ETEST' }));
    expect(list.InvalidationList?.Items?.map((item) => item.Id)).toEqual([Id]);
  });

  test('a caller reference counts once, and not for other paths', async () => {
    const first = await invalidate('one', '/a');
    expect((await invalidate('one', '/a')).Invalidation?.Id).toBe(first.Invalidation?.Id);
    await expect(invalidate('one', '/b')).rejects.toMatchObject({ name: 'InvalidationBatchAlreadyExists' });
  });

  test('paths with characters of XML arrive as they are', async () => {
    await cdn.get('/a?x=1&y=2');
    await invalidate('one', '/a?x=1&y=2');
    expect(cacheResult(await cdn.get('/a?x=1&y=2'))).toBe('Miss');
  });

  test('tags need a CacheTagConfig', async () => {
    cdn.deploy(distributionConfig({ CacheTagConfig: undefined }));
    await expect(invalidate('one', '#a')).rejects.toMatchObject({ name: 'InvalidArgument' });
  });

  test('unknown things and operations say so', async () => {
    const unknown = new GetInvalidationCommand({ DistributionId: 'ENONE', Id: 'I' });
    await expect(cloudFront.send(unknown)).rejects.toMatchObject({ name: 'NoSuchDistribution' });
    await expect(cloudFront.send(new ListDistributionsCommand({}))).rejects.toMatchObject({
      name: 'NotImplemented',
      $metadata: { httpStatusCode: 501 },
    });
  });

  test('a distribution and a store by name', async () => {
    const { Distribution } = await cloudFront.send(new GetDistributionCommand({ Id: 'ETEST' }));
    expect(Distribution).toMatchObject({ Id: 'ETEST', Status: 'Deployed', DomainName: 'dtest.cloudfront.net' });
    const { KeyValueStore: described, ETag } = await cloudFront.send(new DescribeStoreByName({ Name: 'live' }));
    expect([described?.ARN, described?.Status, ETag]).toEqual([store.arn, 'READY', store.etag]);
  });
});

describe('cloudfront-keyvaluestore', () => {
  const etag = async () => (await values.send(new DescribeKeyValueStoreCommand({ KvsARN: store.arn }))).ETag ?? '';
  const put = async (Key: string, Value: string) =>
    values.send(new PutKeyCommand({ KvsARN: store.arn, Key, Value, IfMatch: await etag() }));
  const get = async (Key: string) => (await values.send(new GetKeyCommand({ KvsARN: store.arn, Key }))).Value;

  test('keys are put, read, listed and deleted', async () => {
    await put('live:a/b c', '1');
    const changed = await put('z', 'ü');
    expect(changed).toMatchObject({ ItemCount: 2, TotalSizeInBytes: 14 });
    expect([await get('live:a/b c'), await get('z')]).toEqual(['1', 'ü']);
    const first = await values.send(new ListKeysCommand({ KvsARN: store.arn, MaxResults: 1 }));
    const next = { KvsARN: store.arn, NextToken: first.NextToken };
    const second = await values.send(new ListKeysCommand(next));
    expect([first.Items, second.Items, second.NextToken]).toEqual([
      [{ Key: 'live:a/b c', Value: '1' }],
      [{ Key: 'z', Value: 'ü' }],
      undefined,
    ]);
    await values.send(new DeleteKeyCommand({ KvsARN: store.arn, Key: 'z', IfMatch: await etag() }));
    await expect(get('z')).rejects.toMatchObject({ name: 'ResourceNotFoundException' });
  });

  test('a change under an old ETag is a conflict and changes nothing', async () => {
    const IfMatch = await etag();
    await put('a', '1');
    const late = new PutKeyCommand({ KvsARN: store.arn, Key: 'a', Value: '2', IfMatch });
    await expect(values.send(late)).rejects.toMatchObject({ name: 'ConflictException' });
    expect(await get('a')).toBe('1');
  });

  test('several keys change together or not at all', async () => {
    await put('old', '1');
    const update = async (Deletes: string[]) =>
      values.send(
        new UpdateKeysCommand({
          KvsARN: store.arn,
          IfMatch: await etag(),
          Puts: [{ Key: 'new', Value: '2' }],
          Deletes: Deletes.map((Key) => ({ Key })),
        }),
      );
    await expect(update(['absent'])).rejects.toMatchObject({ name: 'ResourceNotFoundException' });
    await expect(get('new')).rejects.toMatchObject({ name: 'ResourceNotFoundException' });
    await update(['old']);
    expect(store.entries()).toEqual([{ key: 'new', value: '2' }]);
  });

  test.each([
    ['51 keys', Array.from({ length: 51 }, (_, index) => ({ Key: `${index}`, Value: '' })), 'ValidationException'],
    [
      'a key twice',
      [
        { Key: 'a', Value: '1' },
        { Key: 'a', Value: '2' },
      ],
      'ValidationException',
    ],
    ['a key of 513 bytes', [{ Key: 'k'.repeat(513), Value: '' }], 'ValidationException'],
    ['a value of 1025 bytes', [{ Key: 'k', Value: `${'v'.repeat(1023)}ü` }], 'ValidationException'],
  ])('refuses %s', async (_name, Puts, name) => {
    const update = new UpdateKeysCommand({ KvsARN: store.arn, IfMatch: await etag(), Puts });
    await expect(values.send(update)).rejects.toMatchObject({ name });
    expect(store.itemCount).toBe(0);
  });

  test('an unknown store says so', async () => {
    const unknown = new GetKeyCommand({ KvsARN: `${store.arn}x`, Key: 'a' });
    await expect(values.send(unknown)).rejects.toMatchObject({ name: 'ResourceNotFoundException' });
  });
});
