import { ResponseHeadersPolicyConfig } from '../../../local/cloudfront/response-headers';
import { behavior, cacheResult, distributionConfig, originRequestPolicy, TestCdn } from './harness';

let cdn: TestCdn;
beforeEach(async () => {
  cdn = await TestCdn.start();
  cdn.deploy();
});
afterEach(() => cdn.stop());

test('every answer says which POP gave it and how', async () => {
  const answer = await cdn.get('/a', { 'x-viewer-ip': '193.0.0.1' });
  expect(answer.headers).toMatchObject({ 'x-cache': 'Miss from cloudfront', 'x-amz-cf-pop': 'AMS50-P1' });
  expect(answer.headers.via).toContain('(CloudFront)');
  expect(answer.headers['x-amz-cf-id']).toMatch(/^[\w-]{56}$/);
  expect(answer.headers).not.toHaveProperty('server-timing');
});

test.each([
  ['a method that the behaviour does not allow', { method: 'POST' }, 403],
  ['TRACE', { method: 'TRACE' }, 405],
  ['GET with a body', { method: 'GET', body: 'x', headers: { 'content-length': '1' } }, 403],
  ['an address that is none', { headers: { 'x-viewer-ip': 'home' } }, 400],
])('refuses %s', async (_name, request, status) => {
  cdn.deploy(distributionConfig({ DefaultCacheBehavior: behavior({ AllowedMethods: ['GET', 'HEAD'] }) }));
  const answer = await cdn.ask('/a', request);
  expect([answer.status, cacheResult(answer), cdn.origin.received.length]).toEqual([status, 'Error', 0]);
});

test('refuses a URL of more than 8192 bytes', async () => {
  expect((await cdn.get(`/${'a'.repeat(8192)}`)).status).toBe(414);
});

test('blocks the countries of a geographic restriction', async () => {
  const GeoRestriction = { RestrictionType: 'blacklist', Locations: ['NL'] };
  cdn.deploy(distributionConfig({ Restrictions: { GeoRestriction } }));
  const statusFrom = async (ip: string) => (await cdn.get('/a', { 'x-viewer-ip': ip })).status;
  expect([await statusFrom('193.0.0.1'), await statusFrom('8.8.8.8')]).toEqual([403, 200]);
});

test('a disabled distribution answers nobody', async () => {
  cdn.deploy(distributionConfig({ Enabled: false }));
  expect((await cdn.get('/a')).status).toBe(403);
});

test('the default root object is asked for the root', async () => {
  cdn.deploy(distributionConfig({ DefaultRootObject: 'index.html' }));
  await cdn.get('/');
  expect(cdn.origin.received[0]?.url).toBe('/index.html');
});

test('viewers of two countries at one POP share an object, and the origin sees the country of who asked through', async () => {
  const country = ['CloudFront-Viewer-Country'];
  const policy = {
    QueryStringsConfig: { QueryStringBehavior: 'none' },
    HeadersConfig: { HeaderBehavior: 'whitelist', Headers: country },
  };
  cdn.cloudFront.registry.addOriginRequestPolicy('geo', originRequestPolicy(policy));
  cdn.deploy(distributionConfig({ DefaultCacheBehavior: behavior({ OriginRequestPolicyId: 'geo' }) }));
  const [austrian, slovak] = [{ 'x-viewer-ip': '77.80.10.10' }, { 'x-viewer-ip': '85.248.10.10' }];
  const regions = ['us-east-1'];
  const explained = [austrian, slovak].map((viewer) => cdn.cloudFront.explain(viewer['x-viewer-ip'], regions));
  expect(explained.map(({ place }) => place.countryCode)).toEqual(['AT', 'SK']);
  expect(explained.map(({ pop }) => pop.code)).toEqual(['VIE', 'VIE']);

  const answers = [await cdn.get('/a', austrian), await cdn.get('/a', slovak), await cdn.get('/b', slovak)];
  expect(answers.map(cacheResult)).toEqual(['Miss', 'Hit', 'Miss']);
  expect(cdn.origin.received.map(({ url, headers }) => [url, headers['cloudfront-viewer-country']])).toEqual([
    ['/a', 'AT'],
    ['/b', 'SK'],
  ]);
});

test('headers about the viewer are made where a policy asks for them, and cannot be forged', async () => {
  const headers = ['CloudFront-Viewer-Country'];
  const policy = {
    QueryStringsConfig: { QueryStringBehavior: 'none' },
    HeadersConfig: { HeaderBehavior: 'whitelist', Headers: headers },
  };
  cdn.cloudFront.registry.addOriginRequestPolicy('geo', originRequestPolicy(policy));
  cdn.deploy(distributionConfig({ DefaultCacheBehavior: behavior({ OriginRequestPolicyId: 'geo' }) }));
  await cdn.get('/a', { 'x-viewer-ip': '193.0.0.1', 'cloudfront-viewer-country': 'XX', 'cloudfront-viewer-city': 'Y' });
  expect(cdn.origin.received[0]?.headers).toMatchObject({ 'cloudfront-viewer-country': 'NL' });
  expect(cdn.origin.received[0]?.headers).not.toHaveProperty('cloudfront-viewer-city');
});

test('a response headers policy removes, adds and overrides', async () => {
  cdn.origin.respond = (_received, response) => {
    response.writeHead(200, { 'x-powered-by': 'x', 'x-frame-options': 'ALLOWALL', 'x-kept': 'origin' }).end();
  };
  const policy = ResponseHeadersPolicyConfig.parse({
    Name: 'p',
    RemoveHeadersConfig: { Items: [{ Header: 'X-Powered-By' }] },
    CustomHeadersConfig: { Items: [{ Header: 'X-Kept', Value: 'policy', Override: false }] },
    SecurityHeadersConfig: {
      FrameOptions: { FrameOption: 'DENY', Override: true },
      StrictTransportSecurity: { AccessControlMaxAgeSec: 60, IncludeSubdomains: true, Override: false },
    },
  });
  cdn.cloudFront.registry.addResponseHeadersPolicy('rhp', policy);
  cdn.deploy(distributionConfig({ DefaultCacheBehavior: behavior({ ResponseHeadersPolicyId: 'rhp' }) }));
  const { headers } = await cdn.get('/a');
  expect(headers).toMatchObject({
    'x-frame-options': 'DENY',
    'x-kept': 'origin',
    'strict-transport-security': 'max-age=60; includeSubDomains',
  });
  expect(headers).not.toHaveProperty('x-powered-by');
});

test('the counters of a POP add up', async () => {
  for (const path of ['/a', '/a', '/b']) await cdn.get(path, { 'x-viewer-ip': '193.0.0.1' });
  expect(cdn.cloudFront.stats()).toEqual({
    AMS: { requests: 3, hits: 1, misses: 2, errors: 0, bytesServed: 15, bytesFromOrigin: 10 },
  });
  expect(cdn.cloudFront.bytes()).toEqual({ toViewers: 15, fromOrigins: 10 });
});

test('a listener in use is one sentence', async () => {
  const port = Number(new URL(cdn.url).port);
  await expect(cdn.cloudFront.listen({ port })).rejects.toThrow(`port ${port} of 127.0.0.1 is in use`);
});

test('explains where a viewer is served', () => {
  const explained = cdn.cloudFront.explain('193.0.0.1', ['us-east-1', 'eu-west-2', 'ap-northeast-1']);
  expect(explained).toMatchObject({ place: { city: 'Amsterdam', countryCode: 'NL' }, pop: { code: 'AMS' } });
  expect(explained.regions[0]).toBe('eu-west-2');
});
