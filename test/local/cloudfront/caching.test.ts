import { behavior, cachePolicy, cacheResult, distributionConfig, originRequestPolicy, TestCdn } from './harness';

let cdn: TestCdn;
beforeEach(async () => {
  cdn = await TestCdn.start();
  cdn.deploy();
});
afterEach(() => cdn.stop());

/** Makes the origin answer each request with its own number, under these headers. */
function numbered(headers: Record<string, string>, status = 200): void {
  cdn.origin.respond = (_received, response) => {
    response.writeHead(status, headers).end(`answer ${cdn.origin.received.length}`);
  };
}

describe('time to live', () => {
  test('an answer is a hit until its max-age has passed, and its age is told', async () => {
    numbered({ 'cache-control': 'max-age=60' });
    const first = await cdn.get('/a');
    cdn.clock.advanceSeconds(59);
    const second = await cdn.get('/a');
    cdn.clock.advanceSeconds(1);
    const third = await cdn.get('/a');
    expect([first, second, third].map(cacheResult)).toEqual(['Miss', 'Hit', 'Miss']);
    expect(second.headers.age).toBe('59');
    expect([second.body, third.body]).toEqual(['answer 1', 'answer 2']);
  });

  test.each([
    ['no-store', { 'cache-control': 'no-store' }],
    ['private', { 'cache-control': 'private, max-age=60' }],
    ['no lifetime and DefaultTTL 0', {}],
    ['s-maxage over max-age', { 'cache-control': 'max-age=60, s-maxage=0' }],
  ])('%s is not stored', async (_name, headers) => {
    numbered(headers);
    await cdn.get('/a');
    expect(cacheResult(await cdn.get('/a'))).toBe('Miss');
  });

  test('MinTTL keeps even no-store, MaxTTL bounds max-age, DefaultTTL stands in for none', async () => {
    cdn.cloudFront.registry.addCachePolicy('test', cachePolicy({ MinTTL: 10, DefaultTTL: 20, MaxTTL: 30 }));
    cdn.deploy();
    const lifetimeOf = async (path: string, cacheControl: string | undefined): Promise<number> => {
      numbered(cacheControl === undefined ? {} : { 'cache-control': cacheControl });
      await cdn.get(path);
      for (let seconds = 0; ; seconds += 5) {
        if (cacheResult(await cdn.get(path)) !== 'Hit') return seconds;
        cdn.clock.advanceSeconds(5);
      }
    };
    expect(await lifetimeOf('/no-store', 'no-store')).toBe(10);
    expect(await lifetimeOf('/long', 'max-age=1000')).toBe(30);
    expect(await lifetimeOf('/silent', undefined)).toBe(20);
  });

  test('Expires counts from Date; Age of the origin is already spent', async () => {
    const date = new Date(cdn.clock.now()).toUTCString();
    numbered({ date, expires: new Date(cdn.clock.now() + 100_000).toUTCString(), age: '40' });
    await cdn.get('/a');
    cdn.clock.advanceSeconds(59);
    const late = await cdn.get('/a');
    cdn.clock.advanceSeconds(1);
    expect([cacheResult(late), late.headers.age, cacheResult(await cdn.get('/a'))]).toEqual(['Hit', '99', 'Miss']);
  });

  test('POST is never stored and never answered from the cache', async () => {
    numbered({ 'cache-control': 'max-age=60' });
    await cdn.get('/a');
    const post = await cdn.ask('/a', {
      method: 'POST',
      body: '{"x":1}',
      headers: { 'content-type': 'application/json' },
    });
    expect([post.body, cdn.origin.received[1]?.body]).toEqual(['answer 2', '{"x":1}']);
    expect(cdn.origin.received[1]?.headers['content-type']).toBe('application/json');
    expect((await cdn.get('/a')).body).toBe('answer 1');
  });

  test('HEAD is answered from a stored GET', async () => {
    await cdn.get('/a');
    const head = await cdn.ask('/a', { method: 'HEAD' });
    expect([cacheResult(head), head.body, head.headers['content-length']]).toEqual(['Hit', '', '5']);
  });
});

describe('cache key', () => {
  const results = async (...requests: [string, Record<string, string>?][]): Promise<string[]> => {
    const found: string[] = [];
    for (const [path, headers] of requests) found.push(cacheResult(await cdn.get(path, headers)));
    return found;
  };

  test('all query strings: order and case of parameters matter', async () => {
    expect(await results(['/a?x=1&y=2'], ['/a?y=2&x=1'], ['/a?X=1&y=2'], ['/a?x=1&y=2'])).toEqual([
      'Miss',
      'Miss',
      'Miss',
      'Hit',
    ]);
  });

  test('listed query strings, headers and cookies split; others neither split nor reach the origin', async () => {
    const parameters = {
      QueryStringsConfig: { QueryStringBehavior: 'whitelist', QueryStrings: ['x'] },
      HeadersConfig: { HeaderBehavior: 'whitelist', Headers: ['X-Live'] },
      CookiesConfig: { CookieBehavior: 'whitelist', Cookies: ['c'] },
    };
    cdn.cloudFront.registry.addCachePolicy('test', cachePolicy({}, parameters));
    cdn.deploy();
    expect(
      await results(
        ['/a?x=1&z=1', { 'x-live': '1', cookie: 'c=1; d=1', 'x-other': '1' }],
        ['/a?z=2&x=1', { 'x-live': '1', cookie: 'd=2; c=1', 'x-other': '2' }],
        ['/a?x=2', { 'x-live': '1', cookie: 'c=1' }],
        ['/a?x=1', { 'x-live': '2', cookie: 'c=1' }],
        ['/a?x=1', { cookie: 'c=1' }],
        ['/a?x=1', { 'x-live': '1', cookie: 'c=2' }],
      ),
    ).toEqual(['Miss', 'Hit', 'Miss', 'Miss', 'Miss', 'Miss']);
    const { url, headers } = cdn.origin.received[0] ?? {};
    expect([url, headers?.['x-live'], headers?.cookie, headers?.['x-other']]).toEqual([
      '/a?x=1',
      '1',
      'c=1',
      undefined,
    ]);
  });

  test('an origin request policy forwards without splitting; Host stays the origin’s', async () => {
    const everything = {
      HeadersConfig: { HeaderBehavior: 'allExcept', Headers: ['Host'] },
      CookiesConfig: { CookieBehavior: 'all' },
      QueryStringsConfig: { QueryStringBehavior: 'all' },
    };
    cdn.cloudFront.registry.addCachePolicy(
      'test',
      cachePolicy({}, { QueryStringsConfig: { QueryStringBehavior: 'none' } }),
    );
    cdn.cloudFront.registry.addOriginRequestPolicy('extra', originRequestPolicy(everything));
    cdn.deploy(distributionConfig({ DefaultCacheBehavior: behavior({ OriginRequestPolicyId: 'extra' }) }));
    const headers = { 'x-a': '1', cookie: 'k=v', connection: 'x-hop, close', 'x-hop': '1', 'x-viewer-ip': '8.8.8.8' };
    expect(await results(['/a?q=1', headers], ['/a?q=2', { 'x-a': '2', 'x-viewer-ip': '8.8.4.4' }])).toEqual([
      'Miss',
      'Hit',
    ]);
    const received = cdn.origin.received[0];
    expect(received?.url).toBe('/a?q=1');
    expect(received?.headers).toMatchObject({
      host: 'origin.test',
      'x-a': '1',
      cookie: 'k=v',
      'x-forwarded-for': '8.8.8.8',
      via: expect.stringContaining('cloudfront.net'),
    });
    expect(received?.headers).not.toHaveProperty('x-hop');
    expect(received?.headers).not.toHaveProperty('x-viewer-ip');
  });

  test('each POP has a cache of its own', async () => {
    const [us, nl] = [{ 'x-viewer-ip': '8.8.8.8' }, { 'x-viewer-ip': '193.0.0.1' }];
    expect(await results(['/a', us], ['/a', nl], ['/a', us], ['/a', nl])).toEqual(['Miss', 'Miss', 'Hit', 'Hit']);
  });
});

describe('confirming and serving stale', () => {
  test('an expired object is confirmed with its ETag and fresh again', async () => {
    cdn.origin.respond = ({ headers }, response) => {
      if (headers['if-none-match'] === '"v1"') response.writeHead(304, { 'cache-control': 'max-age=10' }).end();
      else response.writeHead(200, { etag: '"v1"', 'cache-control': 'max-age=10' }).end('body');
    };
    await cdn.get('/a');
    cdn.clock.advanceSeconds(10);
    const refreshed = await cdn.get('/a');
    const after = await cdn.get('/a');
    expect([refreshed.status, refreshed.body, cacheResult(refreshed), cacheResult(after)]).toEqual([
      200,
      'body',
      'RefreshHit',
      'Hit',
    ]);
  });

  test('an expired object stands in for a 5xx, unless stale-if-error=0 forbids it', async () => {
    numbered({ 'cache-control': 'max-age=10' });
    await cdn.get('/kind');
    numbered({ 'cache-control': 'max-age=10, stale-if-error=0' });
    await cdn.get('/strict');
    cdn.clock.advanceSeconds(10);
    numbered({}, 500);
    expect((await cdn.get('/kind')).body).toBe('answer 1');
    expect((await cdn.get('/strict')).status).toBe(500);
  });

  test('an error is kept for its minimum time, ten seconds by default, even under no-store', async () => {
    numbered({ 'cache-control': 'no-store' }, 503);
    await cdn.get('/a');
    cdn.clock.advanceSeconds(9);
    expect((await cdn.get('/a')).body).toBe('answer 1');
    cdn.clock.advanceSeconds(1);
    expect((await cdn.get('/a')).body).toBe('answer 2');
  });

  test('ErrorCachingMinTTL 0 keeps no error; 400 is only kept with a max-age', async () => {
    cdn.deploy(distributionConfig({ CustomErrorResponses: [{ ErrorCode: 503, ErrorCachingMinTTL: 0 }] }));
    numbered({}, 503);
    await cdn.get('/a');
    expect((await cdn.get('/a')).body).toBe('answer 2');
    numbered({}, 400);
    await cdn.get('/b');
    expect((await cdn.get('/b')).body).toBe('answer 4');
  });

  test('a custom error page takes the place of an error', async () => {
    cdn.deploy(
      distributionConfig({
        CustomErrorResponses: [{ ErrorCode: 404, ResponseCode: 200, ResponsePagePath: '/sorry' }],
      }),
    );
    cdn.origin.respond = ({ url }, response) => {
      response.writeHead(url === '/sorry' ? 200 : 404, { 'content-type': 'text/plain' }).end(url);
    };
    const answer = await cdn.get('/missing');
    expect([answer.status, answer.body, cacheResult(answer)]).toEqual([200, '/sorry', 'Error']);
  });
});

describe('collapsing', () => {
  test('concurrent requests of one key ask the origin once and all get the answer', async () => {
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    cdn.origin.respond = async (_received, response) => {
      await gate;
      response.writeHead(200, { 'cache-control': 'max-age=60' }).end('once');
    };
    const first = cdn.get('/a');
    await cdn.origin.seen(1);
    const others = [cdn.get('/a'), cdn.get('/a')];
    // A request of another key that completes shows that the joiners before it have arrived.
    const marker = cdn.get('/marker');
    await cdn.origin.seen(2);
    release();
    const answers = await Promise.all([first, ...others]);
    await marker;
    expect(answers.map(({ body }) => body)).toEqual(['once', 'once', 'once']);
    expect(cdn.origin.received.filter(({ url }) => url === '/a')).toHaveLength(1);
  });

  test('an answer that may not be stored is given to nobody else', async () => {
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    cdn.origin.respond = async (_received, response) => {
      const number = cdn.origin.received.length;
      await gate;
      response.writeHead(200, { 'cache-control': 'private' }).end(`for ${number}`);
    };
    const first = cdn.get('/a');
    await cdn.origin.seen(1);
    const second = cdn.get('/a');
    release();
    expect(new Set([(await first).body, (await second).body]).size).toBe(2);
  });
});
