import { cloudFrontModules } from '../../../local/cloudfront/modules';
import type { AssetLookup, Running } from '../../../local/engine/types';
import { behavior, cachePolicy, distributionConfig, TestCdn } from './harness';

const noAssets: AssetLookup = {
  fileByObjectKey: (key) => {
    throw new Error(`no asset ${key}`);
  },
  imageDirectoryByTag: (tag) => {
    throw new Error(`no image ${tag}`);
  },
};

let cdn: TestCdn;
beforeEach(async () => {
  cdn = await TestCdn.start();
});
afterEach(() => cdn.stop());

/** Starts one resource as the runner does. */
async function start(type: string, logicalId: string, properties: Record<string, unknown>): Promise<Running> {
  const module = cloudFrontModules(cdn.cloudFront).find((candidate) => candidate.type === `AWS::CloudFront::${type}`);
  if (!module) throw new Error(`no module for ${type}`);
  const account = '000000000000';
  return module.start({
    stackName: 'global',
    region: 'us-east-1',
    account,
    logicalId,
    type: module.type,
    properties,
    assets: noAssets,
  });
}

const POLICY = {
  Name: 'p',
  MinTTL: 0,
  DefaultTTL: 60,
  MaxTTL: 60,
  ParametersInCacheKeyAndForwardedToOrigin: {
    EnableAcceptEncodingGzip: 'false',
    HeadersConfig: { HeaderBehavior: 'none' },
    CookiesConfig: { CookieBehavior: 'none' },
    QueryStringsConfig: { QueryStringBehavior: 'none' },
  },
};
const functionProperties = (changes: object = {}) => ({
  Name: 'f',
  AutoPublish: true,
  FunctionCode: `import cf from 'cloudfront';
    async function handler(event) { return { statusCode: 200, body: await cf.kvs().get('k') }; }`,
  FunctionConfig: { Comment: '', Runtime: 'cloudfront-js-2.0' },
  ...changes,
});

test('a distribution made of resources that refer to each other serves requests until it is stopped', async () => {
  const policy = await start('CachePolicy', 'Policy', { CachePolicyConfig: POLICY });
  const store = await start('KeyValueStore', 'Store', { Name: 'live', Comment: 'x', Tags: [] });
  expect(store.ref).toBe('live');
  const KeyValueStoreARN = store.attributes?.Arn;
  const FunctionConfig = {
    Comment: '',
    Runtime: 'cloudfront-js-2.0',
    KeyValueStoreAssociations: [{ KeyValueStoreARN }],
  };
  const edgeFunction = await start('Function', 'Function', functionProperties({ FunctionConfig }));
  const values = cdn.cloudFront.registry.keyValueStore(String(KeyValueStoreARN));
  values?.update(values.etag, { puts: [{ key: 'k', value: 'from the store' }], deletes: [] });

  const FunctionAssociations = [{ EventType: 'viewer-request', FunctionARN: edgeFunction.attributes?.FunctionARN }];
  const distribution = await start('Distribution', 'Distribution', {
    DistributionConfig: distributionConfig({
      DefaultCacheBehavior: behavior({ CachePolicyId: policy.ref }),
      CacheBehaviors: [{ ...behavior({ CachePolicyId: policy.ref, FunctionAssociations }), PathPattern: '/f' }],
    }),
  });
  expect(distribution.ref).toMatch(/^E[0-9A-F]{13}$/);
  expect(distribution.attributes?.DomainName).toMatch(/\.cloudfront\.net$/);
  expect((await cdn.get('/f')).body).toBe('from the store');
  expect((await cdn.get('/a')).body).toBe('hello');
  await distribution.stop?.();
  expect((await cdn.get('/a')).status).toBe(403);
});

test('ids are the same at each start and differ between resources', async () => {
  const [one, two, again] = await Promise.all(
    ['A', 'B', 'A'].map((logicalId) => start('CachePolicy', logicalId, { CachePolicyConfig: POLICY })),
  );
  expect(one?.ref).toBe(again?.ref);
  expect(one?.ref).not.toBe(two?.ref);
});

test.each<[string, string, Record<string, unknown>, string]>([
  ['an unknown setting of a policy', 'CachePolicy', { CachePolicyConfig: { ...POLICY, Extra: 1 } }, 'Extra'],
  ['an unknown property', 'KeyValueStore', { Name: 'live', ImportSource: {} }, 'ImportSource'],
  ['a function that is not published', 'Function', functionProperties({ AutoPublish: false }), 'AutoPublish'],
  [
    'an older runtime',
    'Function',
    functionProperties({ FunctionConfig: { Comment: '', Runtime: 'cloudfront-js-1.0' } }),
    'cloudfront-js-2.0',
  ],
  [
    'an unknown store',
    'Function',
    functionProperties({
      FunctionConfig: {
        Comment: '',
        Runtime: 'cloudfront-js-2.0',
        KeyValueStoreAssociations: [{ KeyValueStoreARN: 'arn:x' }],
      },
    }),
    'no key value store arn:x',
  ],
  [
    'unsigned access',
    'OriginAccessControl',
    {
      OriginAccessControlConfig: {
        Name: 'a',
        OriginAccessControlOriginType: 's3',
        SigningBehavior: 'never',
        SigningProtocol: 'sigv4',
      },
    },
    'SigningBehavior always',
  ],
  ['a broken distribution', 'Distribution', { DistributionConfig: distributionConfig({ Origins: [] }) }, 'Origins'],
])('refuses %s', async (_name, type, properties, reason) => {
  cdn.cloudFront.registry.addCachePolicy('test', cachePolicy());
  await expect(start(type, 'X', properties)).rejects.toThrow(reason);
});

test.each([
  '658327ea-f89d-4fab-a63d-7e88639e58f6',
  '4135ea2d-6df8-44a3-9df3-4b5a84be39ad',
  'b2884449-e4de-46a7-ac36-70bc7f1ddd6d',
])('the managed cache policy %s is known', (id) => {
  expect(cdn.cloudFront.registry.cachePolicy(id)?.Name).toMatch(/^Managed-Caching/);
});
