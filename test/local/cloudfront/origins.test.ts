import { Readable } from 'node:stream';
import { behavior, cacheResult, customOrigin, distributionConfig, TestCdn } from './harness';

let cdn: TestCdn;
beforeEach(async () => {
  cdn = await TestCdn.start();
  cdn.origin.respond = (_received, response) => void response.end('primary');
  cdn.failover.respond = (_received, response) => void response.end('secondary');
});
afterEach(() => cdn.stop());

const READS = { AllowedMethods: ['GET', 'HEAD', 'OPTIONS'] };

function withGroup(statusCodes: number[]): object {
  return distributionConfig({
    OriginGroups: {
      Quantity: 1,
      Items: [
        {
          Id: 'group',
          FailoverCriteria: { StatusCodes: { Quantity: statusCodes.length, Items: statusCodes } },
          Members: { Quantity: 2, Items: [{ OriginId: 'edge' }, { OriginId: 'edge-failover' }] },
        },
      ],
    },
    DefaultCacheBehavior: behavior({ TargetOriginId: 'group', ...READS }),
  });
}

const GROUP_FUNCTION = `
import cf from 'cloudfront';
async function handler(event) {
  cf.createRequestOriginGroup({
    originIds: [{ originId: 'edge' }, { originId: 'edge-failover' }],
    failoverCriteria: { statusCodes: [502, 503, 504] },
  });
  return event.request;
}`;

describe.each([
  ['a group of the distribution', () => cdn.deploy(withGroup([502, 503, 504]))],
  ['a group of the function', () => cdn.deployFunction(GROUP_FUNCTION)],
])('%s', (_name, deploy) => {
  beforeEach(deploy);

  test('a listed status goes to the second origin, under its own name', async () => {
    cdn.origin.respond = (_received, response) => void response.writeHead(503).end('down');
    const answer = await cdn.get('/a?q=1');
    expect([answer.status, answer.body]).toEqual([200, 'secondary']);
    expect(cdn.failover.received[0]).toMatchObject({ url: '/a?q=1', headers: { host: 'failover.test' } });
  });

  test('another status does not', async () => {
    cdn.origin.respond = (_received, response) => void response.writeHead(500).end('broken');
    expect((await cdn.get('/a')).body).toBe('broken');
    expect(cdn.failover.received).toHaveLength(0);
  });

  test('a dead origin fails over', async () => {
    await cdn.origin.stop();
    expect((await cdn.get('/a')).body).toBe('secondary');
  });

  test('a name that does not resolve, and a certificate of another name, fail over', async () => {
    cdn.records.delete('origin.test');
    expect((await cdn.get('/a')).body).toBe('secondary');
    cdn.records.set('origin.test', {
      url: 'http://127.0.0.1:1',
      region: 'us-east-1',
      certificateNames: ['other.test'],
    });
    expect((await cdn.get('/b')).body).toBe('secondary');
  });

  test('the answer of the second origin is the answer, whatever it is', async () => {
    cdn.origin.respond = (_received, response) => void response.writeHead(502).end();
    cdn.failover.respond = (_received, response) => void response.writeHead(503).end('both down');
    const answer = await cdn.get('/a');
    expect([answer.status, answer.body, cacheResult(answer)]).toEqual([503, 'both down', 'Error']);
  });
});

test('a dead origin fails over only where 503 is listed', async () => {
  cdn.deploy(withGroup([502, 504]));
  await cdn.origin.stop();
  expect((await cdn.get('/a')).status).toBe(502);
});

test('POST never fails over', async () => {
  cdn.deployFunction(GROUP_FUNCTION);
  cdn.origin.respond = (_received, response) => void response.writeHead(503).end('down');
  const answer = await cdn.ask('/a', { method: 'POST', body: 'x' });
  expect([answer.status, answer.body, cdn.failover.received.length]).toEqual([503, 'down', 0]);
});

test('an unreachable, unresolvable or wrongly certified origin is 502', async () => {
  cdn.deploy();
  cdn.records.set('origin.test', { url: 'http://127.0.0.1:1', region: 'us-east-1', certificateNames: ['origin.test'] });
  const refused = await cdn.get('/a');
  cdn.records.set('origin.test', {
    url: 'http://127.0.0.1:1',
    region: 'us-east-1',
    certificateNames: ['*.origin.test'],
  });
  const uncovered = await cdn.get('/b');
  cdn.records.delete('origin.test');
  const unknown = await cdn.get('/c');
  expect([refused.status, uncovered.status, unknown.status]).toEqual([502, 502, 502]);
  expect(uncovered.body).toContain('certificate of origin.test is for *.origin.test');
  expect(unknown.body).toContain('does not resolve');
});

test('an origin that is silent for its read timeout is 504', async () => {
  const CustomOriginConfig = { OriginProtocolPolicy: 'https-only', OriginReadTimeout: 1 };
  cdn.deploy(distributionConfig({ Origins: [customOrigin('edge', 'origin.test', { CustomOriginConfig })] }));
  cdn.origin.respond = () => undefined;
  expect((await cdn.get('/a')).status).toBe(504);
});

test('a refused connection is tried as often as the origin says, asking DNS anew', async () => {
  cdn.deploy(distributionConfig({ Origins: [customOrigin('edge', 'origin.test', { ConnectionAttempts: 2 })] }));
  const alive = cdn.records.get('origin.test');
  if (!alive) throw new Error('no record');
  const dead = { ...alive, url: 'http://127.0.0.1:1' };
  const answers = [dead, alive];
  jest.spyOn(cdn.records, 'get').mockImplementation(() => answers.shift());
  expect((await cdn.get('/a')).body).toBe('primary');
});

test('path prefix and custom headers of an origin', async () => {
  const changes = { OriginPath: '/base', OriginCustomHeaders: [{ HeaderName: 'X-Secret', HeaderValue: 's' }] };
  cdn.deploy(distributionConfig({ Origins: [customOrigin('edge', 'origin.test', changes)] }));
  await cdn.get('/a?q=%20', { 'x-secret': 'forged' });
  expect(cdn.origin.received[0]).toMatchObject({ url: '/base/a?q=%20', headers: { 'x-secret': 's' } });
});

test('an S3 origin is asked with the distribution’s grant, and its object cached', async () => {
  cdn.cloudFront.registry.addOriginAccessControl('oac', 's3');
  const fetched: object[] = [];
  cdn.s3 = {
    regionOf: () => 'eu-west-1',
    fetch: async (request) => {
      fetched.push(request);
      return {
        status: 200,
        headers: { etag: '"e"', 'cache-control': 'max-age=60' },
        body: Readable.from([Buffer.from('weights')]),
      };
    },
  };
  const DomainName = 'my-bucket.s3.eu-west-1.amazonaws.com';
  const origin = {
    Id: 'artifacts',
    DomainName,
    S3OriginConfig: { OriginAccessIdentity: '' },
    OriginAccessControlId: 'oac',
  };
  cdn.deploy(
    distributionConfig({
      Origins: [customOrigin('edge', 'origin.test'), origin],
      CacheBehaviors: [{ ...behavior({ TargetOriginId: 'artifacts', ...READS }), PathPattern: '/models/*' }],
    }),
  );
  const answers = [await cdn.get('/models/m/1/model.onnx'), await cdn.get('/models/m/1/model.onnx')];
  expect(answers.map((answer) => [answer.body, cacheResult(answer)])).toEqual([
    ['weights', 'Miss'],
    ['weights', 'Hit'],
  ]);
  expect(fetched).toEqual([
    expect.objectContaining({
      method: 'GET',
      bucket: 'my-bucket',
      path: '/models/m/1/model.onnx',
      distributionArn: 'arn:aws:cloudfront::000000000000:distribution/ETEST',
    }),
  ]);
});

test('the wide area is waited for once a hop and told as simulated', async () => {
  await cdn.stop();
  cdn = await TestCdn.start({ injectDelays: true });
  cdn.deploy();
  cdn.origin.respond = (_received, response) => {
    response.writeHead(200, { 'cache-control': 'max-age=60', 'server-timing': 'app;dur=1' }).end('x');
  };
  const miss = await cdn.get('/a', { 'x-viewer-ip': '193.0.0.1' });
  expect(cdn.clock.sleeps).toHaveLength(2);
  const [access = 0, origin = 0] = cdn.clock.sleeps;
  expect(access).toBeGreaterThan(8);
  expect(origin).toBeGreaterThan(100);
  expect(miss.headers['server-timing']).toBe(`app;dur=1, cdn-wan;desc="simulated";dur=${(access + origin).toFixed(1)}`);
  const hit = await cdn.get('/a', { 'x-viewer-ip': '193.0.0.1' });
  expect(cdn.clock.sleeps).toHaveLength(3);
  expect(hit.headers['server-timing']).toContain(`cdn-wan;desc="simulated";dur=${access.toFixed(1)}`);
});
