import { text } from 'node:stream/consumers';
import { HeadBucketCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import type { Resource, Running } from '../../../local/engine/types';
import { s3Modules } from '../../../local/s3/modules';
import { ACCOUNT, bucketSpec, type RunningS3, startS3 } from './support';

const DISTRIBUTION = `arn:aws:cloudfront::${ACCOUNT}:distribution/E1`;
let running: RunningS3;
beforeEach(async () => {
  running = await startS3([bucketSpec('origin')]);
  await running.client().send(new PutObjectCommand({ Bucket: 'origin', Key: 'models/a b', Body: '0123456789' }));
});
afterEach(() => running.stop());

function start(type: string, properties: Record<string, unknown>, logicalId = 'Models'): Promise<Running> {
  const unused = (): never => {
    throw new Error('S3 has no assets.');
  };
  const resource: Resource = {
    stackName: 'mlcdn-local-models',
    region: 'us-east-1',
    account: ACCOUNT,
    logicalId,
    type,
    properties,
    assets: { fileByObjectKey: unused, imageDirectoryByTag: unused },
  };
  const module = s3Modules(running.s3).find((each) => each.type === type);
  if (module === undefined) throw new Error(`There is no module for ${type}.`);
  return module.start(resource);
}
const startBucket = (properties: Record<string, unknown>) => start('AWS::S3::Bucket', properties);

describe('AWS::S3::Bucket', () => {
  it('names a bucket of the account-regional namespace as S3 does', async () => {
    const bucket = await startBucket({ BucketNamePrefix: 'mlcdn', BucketNamespace: 'account-regional' });
    const name = `mlcdn-${ACCOUNT}-us-east-1-an`;
    expect(bucket.ref).toBe(name);
    expect(bucket.attributes).toMatchObject({
      Arn: `arn:aws:s3:::${name}`,
      DomainName: `${name}.s3.amazonaws.com`,
      RegionalDomainName: `${name}.s3.us-east-1.amazonaws.com`,
    });
    await running.client().send(new HeadBucketCommand({ Bucket: name }));
    await bucket.stop?.();
    expect(running.s3.regionOf(name)).toBeUndefined();
  });

  it('replicates by the rules of the template', async () => {
    await startBucket({ BucketName: 'replica', VersioningConfiguration: { Status: 'Enabled' } });
    await startBucket({
      BucketName: 'home',
      VersioningConfiguration: { Status: 'Enabled' },
      ReplicationConfiguration: {
        Role: 'arn:aws:iam::000000000000:role/replication',
        Rules: [
          {
            Status: 'Enabled',
            Priority: 1,
            Filter: { Prefix: 'models/' },
            DeleteMarkerReplication: { Status: 'Enabled' },
            Destination: { Bucket: 'arn:aws:s3:::replica', Metrics: { Status: 'Enabled' } },
          },
        ],
      },
    });
    await running.client().send(new PutObjectCommand({ Bucket: 'home', Key: 'models/m', Body: 'x' }));
    running.clock.advance(100);
    await running.s3.replicationIdle();
    const policy = { Statement: [{ Effect: 'Allow', Principal: '*', Action: 's3:GetObject', Resource: '*' }] };
    running.s3.putBucketPolicy('replica', policy);
    expect(await statusAs(DISTRIBUTION, { bucket: 'replica', path: '/models/m' })).toBe(200);
  });

  it.each([
    ['NotificationConfiguration', { NotificationConfiguration: {} }],
    ['SSEAlgorithm', bucketEncryption('aws:kms')],
    ['TagFilter', replicationWith({ Filter: { TagFilter: { Key: 'a', Value: 'b' } } })],
    ['SourceSelectionCriteria', replicationWith({ SourceSelectionCriteria: {} })],
    ['cannot name a bucket', { BucketName: 'Upper_Case' }],
    ['needs BucketNamespace', { BucketNamePrefix: 'x' }],
  ])('refuses what it would get wrong: %s', async (name, properties) => {
    await expect(startBucket(properties)).rejects.toThrow(name);
  });
});

describe('CloudFront at a bucket', () => {
  const allowDistribution = {
    Effect: 'Allow',
    Principal: { Service: 'cloudfront.amazonaws.com' },
    Action: 's3:GetObject',
    Resource: 'arn:aws:s3:::origin/models/*',
    Condition: { StringEquals: { 'AWS:SourceArn': DISTRIBUTION } },
  };
  const denyWithoutTls = {
    Effect: 'Deny',
    Principal: { AWS: '*' },
    Action: 's3:*',
    Resource: ['arn:aws:s3:::origin', 'arn:aws:s3:::origin/*'],
    Condition: { Bool: { 'aws:SecureTransport': 'false' }, NumericLessThan: { 's3:TlsVersion': 1.2 } },
  };
  const putPolicy = (...Statement: object[]) =>
    start('AWS::S3::BucketPolicy', { Bucket: 'origin', PolicyDocument: { Version: '2012-10-17', Statement } });

  it('reads what the policy allows to its distribution', async () => {
    await putPolicy(allowDistribution, denyWithoutTls);
    const whole = await fetchAs(DISTRIBUTION);
    expect(whole).toMatchObject({ status: 200, headers: { 'content-length': '10', 'accept-ranges': 'bytes' } });
    expect(await text(whole.body)).toBe('0123456789');
    const part = await fetchAs(DISTRIBUTION, { headers: { range: 'bytes=1-2' } });
    expect(part).toMatchObject({ status: 206, headers: { 'content-range': 'bytes 1-2/10' } });
    expect(await text(part.body)).toBe('12');
    const head = await fetchAs(DISTRIBUTION, { method: 'HEAD' });
    expect(head).toMatchObject({ status: 200, headers: { 'content-length': '10' } });
    expect(await text(head.body)).toBe('');
    const unchanged = await fetchAs(DISTRIBUTION, { headers: { 'if-none-match': whole.headers.etag ?? '' } });
    expect(unchanged.status).toBe(304);
    expect(await statusAs(DISTRIBUTION, { headers: { range: 'bytes=99-' } })).toBe(416);
  });

  it('is refused without a policy, by another one, and as another distribution', async () => {
    expect(await statusAs(DISTRIBUTION)).toBe(403);
    await putPolicy(allowDistribution);
    expect(await statusAs(`${DISTRIBUTION}2`)).toBe(403);
    expect(await statusAs(DISTRIBUTION, { path: '/private' })).toBe(403);
    await putPolicy(allowDistribution, { ...allowDistribution, Effect: 'Deny', Condition: {} });
    expect(await statusAs(DISTRIBUTION)).toBe(403);
  });

  it('learns that a key is missing only where it may list', async () => {
    await putPolicy(allowDistribution);
    const denied = await fetchAs(DISTRIBUTION, { path: '/models/none' });
    expect(denied.status).toBe(403);
    expect(await text(denied.body)).toContain('<Code>AccessDenied</Code>');
    await putPolicy(allowDistribution, {
      ...allowDistribution,
      Action: 's3:ListBucket',
      Resource: 'arn:aws:s3:::origin',
    });
    expect(await statusAs(DISTRIBUTION, { path: '/models/none' })).toBe(404);
  });

  it.each([
    [{ StringEquals: { 'AWS:SourceAccount': ACCOUNT } }, 200],
    [{ StringEquals: { 'aws:SourceAccount': '999999999999' } }, 403],
    [{ ArnLike: { 'AWS:SourceArn': `arn:aws:cloudfront::${ACCOUNT}:distribution/*` } }, 200],
    [{ ArnLike: { 'AWS:SourceArn': 'arn:aws:cloudfront::*' } }, 403],
    [{ StringLike: { 'AWS:SourceArn': ['no', 'arn:aws:cloudfront:*/E?'] } }, 200],
  ])('decides %j', async (Condition, status) => {
    await putPolicy({ ...allowDistribution, Condition });
    expect(await statusAs(DISTRIBUTION)).toBe(status);
  });

  it.each([
    ['IpAddress', { Condition: { IpAddress: { 'aws:SourceIp': '10.0.0.0/8' } } }],
    ['aws:PrincipalOrgID', { Condition: { StringEquals: { 'aws:PrincipalOrgID': 'o-1' } } }],
    ['NotAction', { NotAction: 's3:PutObject' }],
  ])('refuses a policy with %s', async (name, change) => {
    await expect(putPolicy({ ...allowDistribution, ...change })).rejects.toThrow(name);
  });
});

async function statusAs(...request: Parameters<typeof fetchAs>): Promise<number> {
  const { status, body } = await fetchAs(...request);
  body.destroy();
  return status;
}

function fetchAs(
  distributionArn: string,
  request: { method?: 'GET' | 'HEAD'; bucket?: string; path?: string; headers?: Record<string, string> } = {},
): ReturnType<RunningS3['s3']['fetch']> {
  return running.s3.fetch({
    method: 'GET',
    bucket: 'origin',
    path: '/models/a%20b',
    headers: {},
    ...request,
    distributionArn,
  });
}

function bucketEncryption(SSEAlgorithm: string): Record<string, unknown> {
  const ServerSideEncryptionConfiguration = [{ ServerSideEncryptionByDefault: { SSEAlgorithm } }];
  return { BucketEncryption: { ServerSideEncryptionConfiguration } };
}

function replicationWith(change: Record<string, unknown>): Record<string, unknown> {
  const rule = { Status: 'Enabled', Destination: { Bucket: 'arn:aws:s3:::origin' }, ...change };
  return { ReplicationConfiguration: { Role: 'role', Rules: [rule] } };
}
