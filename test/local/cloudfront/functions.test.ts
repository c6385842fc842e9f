import { EdgeFunction, EdgeFunctionError } from '../../../local/cloudfront/edge-function';
import { KeyValueStore } from '../../../local/cloudfront/key-value-store';
import { cacheResult, TestCdn } from './harness';

const LOCATION = { name: 'FRA', serverIp: '127.0.0.1', region: 'eu-central-1' };

describe('the runtime', () => {
  const store = new KeyValueStore('arn:store', 'store', () => 0);
  store.update(store.etag, {
    puts: [
      { key: 'live:m', value: '3' },
      { key: 'json', value: '{"a":[1]}' },
    ],
    deletes: [],
  });
  const lines: string[] = [];

  /** What a handler with this body returns for an event of one request. */
  function run(body: string, query?: string): unknown {
    const code = `import cf from 'cloudfront';\nimport crypto from "crypto";\nimport qs from 'querystring'\nasync function handler(event) {${body}}`;
    const edgeFunction = new EdgeFunction('f', code, store, (line) => lines.push(line));
    return edgeFunction.invoke({ request: { headers: {} } }, LOCATION, query).returned;
  }

  test.each<[string, string, unknown]>([
    ['a value as a string', `return { v: await cf.kvs().get('live:m') }`, { v: '3' }],
    ['a value as JSON', `return await cf.kvs().get('json', { format: 'json' })`, { a: [1] }],
    ['a value as bytes', `return { n: (await cf.kvs().get('json', { format: 'bytes' })).length }`, { n: 9 }],
    ['whether keys exist', `return [await cf.kvs().exists('json'), await cf.kvs().exists('x')]`, [true, false]],
    ['the number of keys', `return { n: await cf.kvs().count(), m: (await cf.kvs().meta()).keyCount }`, { n: 2, m: 2 }],
    [
      'an unknown key is an error',
      `try { await cf.kvs().get('x') } catch (e) { return { e: e instanceof Error } }`,
      { e: true },
    ],
    [
      'hashes',
      `return { h: crypto.createHash('sha256').update('a').update('b').digest('hex').slice(0, 8) }`,
      { h: 'fb8e20fc' },
    ],
    ['the edge location', `return cf.edgeLocation`, LOCATION],
    ['query strings', `return qs.parse('a=1&a=2&b=%20')`, { a: ['1', '2'], b: ' ' }],
    ['the raw query', `return { q: event.request.rawQueryString() }`, { q: 'a=1&b' }],
    [
      'no network, timers, time zone tricks or eval',
      `return [typeof fetch, typeof setTimeout, typeof process]`,
      Array(3).fill('undefined'),
    ],
  ])('%s', (_name, body, expected) => {
    expect(run(body, 'a=1&b')).toEqual(expected);
  });

  test('chosen origins come back with the result', () => {
    const code = `import cf from 'cloudfront'; function handler(e) { cf.selectRequestOriginById('b'); return e.request; }`;
    const edgeFunction = new EdgeFunction('f', code, undefined, () => undefined);
    expect(edgeFunction.invoke({ request: {} }, LOCATION, '').origins).toEqual({ kind: 'origin', originId: 'b' });
  });

  test.each([
    ['throws', `throw new Error('boom')`, 'boom', 'FunctionExecutionError'],
    ['loops', `while (true);`, 'timed out', 'FunctionExecutionError'],
    ['waits for ever', `await new Promise(() => {})`, 'nothing settles', 'FunctionExecutionError'],
    ['evaluates text', `return eval('({})')`, 'Code generation', 'FunctionExecutionError'],
    [
      'makes a group of one',
      `cf.createRequestOriginGroup({ originIds: [] }); return {}`,
      'two origins',
      'FunctionExecutionError',
    ],
    ['returns nothing', ``, 'no request', 'FunctionValidationError'],
  ])('a function that %s fails', (_name, body, reason, kind) => {
    expect(() => run(body)).toThrow(EdgeFunctionError);
    expect(() => run(body)).toThrow(expect.objectContaining({ kind, message: expect.stringContaining(reason) }));
  });

  test.each([
    ['too large', `function handler() {} //${'x'.repeat(10 * 1024)}`, 'at most 10240'],
    ['broken', `function handler( {}`, 'does not load'],
    ['without a handler', `function handle() {}`, 'no function named handler'],
    ['importing an unknown module', `import fs from 'fs'; function handler() {}`, 'no module fs'],
    ['importing by name', `import { a } from 'crypto'; function handler() {}`, 'import name from'],
  ])('code that is %s is refused', (_name, code, reason) => {
    expect(() => new EdgeFunction('f', code, undefined, () => undefined)).toThrow(reason);
  });
});

describe('in a distribution', () => {
  let cdn: TestCdn;
  beforeEach(async () => {
    cdn = await TestCdn.start();
    cdn.origin.respond = ({ url, headers }, response) => {
      response.writeHead(200, { 'cache-control': 'max-age=60' }).end(JSON.stringify({ url, headers }));
    };
  });
  afterEach(() => cdn.stop());

  const handler = (body: string) =>
    `function handler(event) { const request = event.request; ${body}; return request; }`;

  test('it sees the event of CloudFront: lower-case names, undecoded values, cookies apart', async () => {
    cdn.deployFunction(`function handler(event) {
      return { statusCode: 200, headers: { 'content-type': { value: 'application/json' } }, body: JSON.stringify(event) };
    }`);
    const answer = await cdn.get('/a%20b?x=%20&y&x=2', { 'X-One': 'a', cookie: 'k=v; s=1', 'x-viewer-ip': '8.8.8.8' });
    expect(cacheResult(answer)).toBe('FunctionGeneratedResponse');
    const event: unknown = JSON.parse(answer.body);
    expect(event).toMatchObject({
      version: '1.0',
      context: { eventType: 'viewer-request', distributionId: 'ETEST', distributionDomainName: 'dtest.cloudfront.net' },
      viewer: { ip: '8.8.8.8' },
      request: {
        method: 'GET',
        uri: '/a%20b',
        querystring: { x: { value: '%20', multiValue: [{ value: '%20' }, { value: '2' }] }, y: { value: '' } },
        headers: { 'x-one': { value: 'a' } },
        cookies: { k: { value: 'v' }, s: { value: '1' } },
      },
    });
    expect(event).not.toHaveProperty('request.headers.cookie');
    expect(event).not.toHaveProperty('request.headers.x-viewer-ip');
    expect(event).not.toHaveProperty('request.headers.connection');
  });

  test('what it makes of path and query is the cache key and what the origin gets', async () => {
    cdn.deployFunction(handler(`request.uri = '/canonical'; request.querystring = { a: { value: '1' } };`));
    const first = await cdn.get('/x?z=1');
    const second = await cdn.get('/y');
    expect(cdn.origin.received[0]?.url).toBe('/canonical?a=1');
    expect([cacheResult(first), cacheResult(second)]).toEqual(['Miss', 'Hit']);
    cdn.invalidate('/canonical?a=1');
    expect(cacheResult(await cdn.get('/y'))).toBe('Miss');
  });

  test('a query that it leaves alone keeps its exact text', async () => {
    cdn.deployFunction(handler(''));
    await cdn.get('/a?b=&c&b=%7e');
    expect(cdn.origin.received[0]?.url).toBe('/a?b=&c&b=%7e');
  });

  test('it may answer itself, with cookies and a binary body', async () => {
    cdn.deployFunction(`function handler() {
      return { statusCode: 418, headers: { 'x-a': { value: '1' } }, cookies: { c: { value: 'v', attributes: 'Secure' } },
        body: { encoding: 'base64', data: 'aGk=' } };
    }`);
    const answer = await cdn.get('/a');
    expect(answer).toMatchObject({ status: 418, body: 'hi', headers: { 'x-a': '1', 'set-cookie': 'c=v; Secure' } });
    expect(cdn.origin.received).toHaveLength(0);
  });

  test.each([
    ['throws', `throw new Error('boom')`, 503, 'FunctionExecutionError'],
    ['returns a string', `return 'x'`, 502, 'FunctionValidationError'],
    ['changes the method', `request.method = 'POST'`, 502, 'FunctionValidationError'],
    ['changes Host', `request.headers.host = { value: 'x' }`, 502, 'FunctionValidationError'],
    ['sets a forbidden header', `request.headers['x-amz-cf-a'] = { value: 'x' }`, 502, 'FunctionValidationError'],
    ['writes a header in capitals', `request.headers['X-A'] = { value: 'x' }`, 502, 'FunctionValidationError'],
    ['makes a relative path', `request.uri = 'a'`, 502, 'FunctionValidationError'],
  ])('a function that %s is an error of CloudFront', async (_name, body, status, result) => {
    cdn.deployFunction(handler(body));
    const answer = await cdn.get('/a');
    expect([answer.status, cacheResult(answer)]).toEqual([status, result]);
    expect(cdn.origin.received).toHaveLength(0);
  });

  test('it reads the key value store as it is at that moment', async () => {
    cdn.deployFunction(`import cf from 'cloudfront';
      async function handler(event) {
        return { statusCode: 200, body: (await cf.kvs().exists('k')) ? await cf.kvs().get('k') : 'none' };
      }`);
    const store = cdn.cloudFront.registry.keyValueStoreByName('store');
    const before = await cdn.get('/a');
    store?.update(store.etag, { puts: [{ key: 'k', value: 'v1' }], deletes: [] });
    expect([before.body, (await cdn.get('/a')).body]).toEqual(['none', 'v1']);
  });

  test('it may send a request to another origin by id, or change the origin', async () => {
    cdn.failover.respond = ({ url }, response) => void response.end(`failover ${url}`);
    cdn.deployFunction(`import cf from 'cloudfront';
      function handler(event) {
        if (event.request.uri === '/id') cf.selectRequestOriginById('edge-failover');
        if (event.request.uri === '/update') cf.updateRequestOrigin({ domainName: 'failover.test', originPath: '/p' });
        return event.request;
      }`);
    expect((await cdn.get('/id')).body).toBe('failover /id');
    expect((await cdn.get('/update')).body).toBe('failover /p/update');
    expect(JSON.parse((await cdn.get('/own')).body)).toMatchObject({ url: '/own' });
  });
});
