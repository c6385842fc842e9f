import { behaviorFor, certificateCovers, createDistribution } from '../../../local/cloudfront/distribution';
import { CachePolicyConfig, OriginRequestPolicyConfig } from '../../../local/cloudfront/policies';
import { Registry } from '../../../local/cloudfront/registry';
import { behavior, cachePolicy, customOrigin, distributionConfig } from './harness';

const CERTIFICATE = 'arn:aws:acm:us-east-1:000000000000:certificate/1';
const registry = new Registry({
  account: '000000000000',
  now: () => 0,
  log: () => undefined,
  certificateNames: () => ['*.example.com'],
});
registry.addCachePolicy('test', cachePolicy());
registry.addOriginAccessControl('s3', 's3');

const create = (changes: object) =>
  createDistribution({ id: 'E1', arn: 'arn', domainName: 'd.cloudfront.net' }, distributionConfig(changes), registry);

const group = (changes: object = {}) => ({
  OriginGroups: {
    Quantity: 1,
    Items: [
      {
        Id: 'group',
        FailoverCriteria: { StatusCodes: { Quantity: 1, Items: [503] } },
        Members: { Quantity: 2, Items: [{ OriginId: 'edge' }, { OriginId: 'edge-failover' }] },
        ...changes,
      },
    ],
  },
});
const alias = (name: string, AcmCertificateArn: string | undefined) => ({
  Aliases: [name],
  ViewerCertificate: AcmCertificateArn === undefined ? undefined : { AcmCertificateArn },
});
const bucket = (changes: object = {}) => ({
  Id: 's3',
  DomainName: 'b.s3.us-east-1.amazonaws.com',
  S3OriginConfig: { OriginAccessIdentity: '' },
  ...changes,
});

test.each<[string, object, string]>([
  ['a group behind POST', { ...group(), DefaultCacheBehavior: behavior({ TargetOriginId: 'group' }) }, 'allows POST'],
  [
    'a group of an unknown origin',
    group({ Members: { Quantity: 2, Items: [{ OriginId: 'edge' }, { OriginId: 'x' }] } }),
    'no origin x',
  ],
  ['a group of one', group({ Members: { Quantity: 1, Items: [{ OriginId: 'edge' }] } }), 'two members'],
  ['an unknown target', { DefaultCacheBehavior: behavior({ TargetOriginId: 'x' }) }, 'no origin or origin group x'],
  ['an unknown cache policy', { DefaultCacheBehavior: behavior({ CachePolicyId: 'x' }) }, 'no cache policy x'],
  [
    'an unknown function',
    { DefaultCacheBehavior: behavior({ FunctionAssociations: [{ EventType: 'viewer-request', FunctionARN: 'x' }] }) },
    'no function x',
  ],
  [
    'a viewer-response function',
    { DefaultCacheBehavior: behavior({ FunctionAssociations: [{ EventType: 'viewer-response', FunctionARN: 'x' }] }) },
    'viewer-request',
  ],
  [
    'an odd set of methods',
    { DefaultCacheBehavior: behavior({ AllowedMethods: ['GET', 'POST'] }) },
    'must be one of the sets',
  ],
  [
    'two origins of one id',
    { Origins: [customOrigin('edge', 'a'), customOrigin('edge', 'b')] },
    'the id edge names two',
  ],
  ['an origin shield', { Origins: [customOrigin('edge', 'a', { OriginShield: { Enabled: true } })] }, 'OriginShield'],
  [
    'an S3 origin without access control',
    { Origins: [customOrigin('edge', 'a'), bucket()] },
    'needs an OriginAccessControlId',
  ],
  [
    'an unknown access control',
    { Origins: [customOrigin('edge', 'a'), bucket({ OriginAccessControlId: 'x' })] },
    'no origin access control x',
  ],
  ['an alias without certificate', alias('a.example.com', undefined), 'need a certificate'],
  ['an alias that the certificate does not cover', alias('a.b.example.com', CERTIFICATE), 'not covered'],
  [
    'a certificate of another region',
    alias('a.example.com', CERTIFICATE.replace('us-east-1', 'eu-west-1')),
    'must be in us-east-1',
  ],
  ['a setting that is not run here', { ContinuousDeploymentPolicyId: 'x' }, 'ContinuousDeploymentPolicyId'],
  ['a path pattern with a space', { CacheBehaviors: [{ ...behavior(), PathPattern: '/a b' }] }, 'path pattern "/a b"'],
])('refuses %s', (_name, changes, reason) => {
  expect(() => create(changes)).toThrow(reason);
});

test('accepts what CloudFront accepts', () => {
  const READS = { AllowedMethods: ['GET', 'HEAD'], TargetOriginId: 'group' };
  const accepted = create({
    ...group(),
    ...alias('a.example.com', CERTIFICATE),
    DefaultCacheBehavior: behavior(READS),
  });
  expect(accepted.behaviors).toHaveLength(1);
});

test.each([
  ['/predict', '/predict'],
  ['/predict/', '*'],
  ['/v2/models/m/infer', '/v2/*'],
  ['/img/a.jpg', '*.jpg'],
  ['/a1.txt', '/a?.txt'],
  ['/a12.txt', '*'],
  ['/Predict', '*'],
  ['/v2', '*'],
])('%s falls under %s', (path, pattern) => {
  const patterns = ['/predict', '/v2/*', '*.jpg', 'a?.txt'];
  const distribution = create({ CacheBehaviors: patterns.map((PathPattern) => ({ ...behavior(), PathPattern })) });
  const found = behaviorFor(distribution, path).pattern;
  expect(found.startsWith('/') || found.startsWith('*') ? found : `/${found}`).toBe(pattern);
});

test.each([
  ['example.com', 'EXAMPLE.com', true],
  ['*.example.com', 'a.example.com', true],
  ['*.example.com', 'a.b.example.com', false],
  ['*.example.com', 'example.com', false],
])('certificate %s, host %s: %s', (name, host, covered) => {
  expect(certificateCovers(name, host)).toBe(covered);
});

const parameters = {
  EnableAcceptEncodingGzip: false,
  HeadersConfig: { HeaderBehavior: 'none' },
  CookiesConfig: { CookieBehavior: 'none' },
  QueryStringsConfig: { QueryStringBehavior: 'none' },
};
const policy = (changes: object, key: object = {}) =>
  CachePolicyConfig.parse({
    Name: 'p',
    MinTTL: 0,
    DefaultTTL: 1,
    MaxTTL: 2,
    ParametersInCacheKeyAndForwardedToOrigin: { ...parameters, ...key },
    ...changes,
  });

test.each<[string, object, object, string]>([
  ['MinTTL over DefaultTTL', { MinTTL: 2 }, {}, 'MinTTL 2 <= DefaultTTL 1'],
  ['DefaultTTL over MaxTTL', { DefaultTTL: 3 }, {}, 'DefaultTTL 3 <= MaxTTL 2'],
  ['key parameters without caching', { DefaultTTL: 0, MaxTTL: 0 }, { EnableAcceptEncodingGzip: true }, 'MaxTTL 0'],
  ['a list that is missing', {}, { HeadersConfig: { HeaderBehavior: 'whitelist' } }, 'needs the list'],
  ['a list too many', {}, { CookiesConfig: { CookieBehavior: 'all', Cookies: ['a'] } }, 'forbids the list'],
  [
    'Accept-Encoding as a header',
    {},
    { HeadersConfig: { HeaderBehavior: 'whitelist', Headers: ['Accept-Encoding'] } },
    'Accept-Encoding',
  ],
  [
    'a header that is not generated here',
    {},
    { HeadersConfig: { HeaderBehavior: 'whitelist', Headers: ['CloudFront-Viewer-ASN'] } },
    'cloudfront-viewer-asn',
  ],
])('refuses a cache policy with %s', (_name, changes, key, reason) => {
  expect(() => policy(changes, key)).toThrow(reason);
});

test('refuses to forward Authorization by an origin request policy', () => {
  const { CookiesConfig, QueryStringsConfig } = parameters;
  const HeadersConfig = { HeaderBehavior: 'whitelist', Headers: ['Authorization'] };
  expect(() =>
    OriginRequestPolicyConfig.parse({ Name: 'p', HeadersConfig, CookiesConfig, QueryStringsConfig }),
  ).toThrow('authorization');
});
