import { until } from '../cache/fixtures';
import { type CacheUnderTest, startCache } from './harness';
import { counting, waiting } from './origins';

let edge: CacheUnderTest;
const start = async (options: Parameters<typeof startCache>[0] = {}) => {
  edge = await startCache(options);
};
afterEach(() => edge.stop());

describe('fills', () => {
  it('are one for all who ask for the same meanwhile', async () => {
    await start();
    const origin = waiting();
    edge.origin(origin.listener);
    const replies = Array.from({ length: 20 }, () => edge.get('/a'));
    const response = await origin.next();
    // Answered only when all of them are with the cache.
    await until(() => edge.received() === 20);
    response.writeHead(200, { 'cache-control': 'max-age=60' }).end('once');
    const texts = (await Promise.all(replies)).map(({ text }) => text);
    expect(new Set(texts)).toEqual(new Set(['once']));
    expect(edge.asked).toEqual(['GET /a']);
  });

  it('go on when the client that caused them hangs up', async () => {
    await start();
    const origin = waiting();
    edge.origin(origin.listener);
    const first = await edge.openAndHangUp('/a');
    const response = await origin.next();
    const second = edge.get('/a');
    first.hangUp();
    response.writeHead(200, { 'cache-control': 'max-age=60' }).write('half ');
    response.end('and half');
    expect((await second).text).toBe('half and half');
    expect((await edge.get('/a')).cacheStatus).toContain('; hit');
    expect(edge.asked).toHaveLength(1);
  });

  it('are not shared when the response is for one client alone', async () => {
    await start();
    edge.origin((_request, response) => {
      response.writeHead(200, { 'cache-control': 'private, max-age=60' }).end(String(edge.asked.length));
    });
    const replies = await Promise.all(Array.from({ length: 5 }, () => edge.get('/mine')));
    expect(new Set(replies.map(({ text }) => text)).size).toBe(5);
  });

  it('are shared only by requests that select the same variant', async () => {
    await start();
    const origin = waiting();
    edge.origin(origin.listener);
    const english = edge.get('/v', { 'accept-language': 'en' });
    const first = await origin.next();
    const german = edge.get('/v', { 'accept-language': 'de' });
    first.writeHead(200, { 'cache-control': 'max-age=60', vary: 'accept-language' }).end('hello');
    const second = await origin.next();
    second.writeHead(200, { 'cache-control': 'max-age=60', vary: 'accept-language' }).end('hallo');
    expect([(await english).text, (await german).text]).toEqual(['hello', 'hallo']);
    expect((await edge.get('/v', { 'accept-language': 'DE' })).text).toBe('hallo');
    expect((await edge.get('/v', { 'accept-language': 'en' })).text).toBe('hello');
    expect(edge.asked).toHaveLength(2);
  });
});

describe('variants', () => {
  it('are found as long as each of them is kept, whatever the lifetimes of those stored after it', async () => {
    await start();
    const hour = 3_600;
    edge.origin((request, response) => {
      const lifetime = request.headers.accept === 'long' ? 24 * hour : 1;
      response
        .writeHead(200, { 'cache-control': `max-age=${lifetime}`, vary: 'accept' })
        .end(String(request.headers.accept));
    });
    await edge.get('/v', { accept: 'long' });
    for (let stored = 2; stored <= 3; stored++) {
      await edge.get('/v', { accept: `short ${stored}` });
      edge.pass(10 * hour);
      expect(await edge.get('/v', { accept: 'long' })).toMatchObject({ text: 'long' });
      expect(edge.asked).toHaveLength(stored);
    }
    edge.pass(5 * hour);
    await edge.get('/v', { accept: 'long' });
    expect(edge.asked).toHaveLength(4);
  });
});

describe('an invalidation', () => {
  it.each(['before the headers', 'in the middle of the body'])(
    'that comes %s of a fill keeps it out',
    async (moment) => {
      await start();
      const origin = waiting();
      edge.origin(origin.listener);
      const early = edge.get('/a');
      const response = await origin.next();
      if (moment === 'before the headers') edge.purgeTag('x');
      response.writeHead(200, { 'cache-control': 'max-age=60', 'surrogate-key': 'x' });
      response.write('old');
      if (moment !== 'before the headers') {
        const reading = until(() => edge.asked.length === 1);
        await reading;
        edge.purgeTag('x');
      }
      response.end();
      expect((await early).text).toBe('old');
      edge.origin(counting({ 'cache-control': 'max-age=60' }));
      expect((await edge.get('/a')).text).toBe('answer 1');
    },
  );

  it('is not undone by a 304 to a revalidation that was under way', async () => {
    await start();
    edge.origin(counting({ 'cache-control': 'max-age=1', etag: '"1"', 'surrogate-key': 'x' }));
    await edge.get('/a');
    edge.pass(5);
    const origin = waiting();
    edge.origin(origin.listener);
    const revalidating = edge.get('/a');
    const response = await origin.next();
    edge.purgeTag('x');
    response.writeHead(304, { 'cache-control': 'max-age=1000', etag: '"1"' }).end();
    expect((await revalidating).text).toBe('answer 1');
    edge.origin(counting({ 'cache-control': 'max-age=60' }));
    expect((await edge.get('/a')).cacheStatus).toContain('fwd=uri-miss');
  });

  it('makes a request that comes after it fill anew, not join', async () => {
    await start();
    const origin = waiting();
    edge.origin(origin.listener);
    const early = edge.get('/a');
    const first = await origin.next();
    edge.purgeTag('x');
    const late = edge.get('/a');
    const second = await origin.next();
    first.writeHead(200, { 'cache-control': 'max-age=60' }).end('old');
    second.writeHead(200, { 'cache-control': 'max-age=60' }).end('new');
    expect([(await early).text, (await late).text]).toEqual(['old', 'new']);
    expect((await edge.get('/a')).text).toBe('new');
  });

  it('by an unsafe method reaches every variant and the locations it names', async () => {
    await start();
    edge.origin((request, response) => {
      const headers = { 'cache-control': 'max-age=60', vary: 'accept' };
      if (request.method === 'POST')
        response.writeHead(201, { location: '/made', 'content-location': 'http://elsewhere/kept' }).end();
      else response.writeHead(200, headers).end(String(edge.asked.length));
    });
    for (const path of ['/list', '/made', '/kept']) await edge.get(path, { accept: 'a' });
    await edge.get('/list', { accept: 'b' });
    await edge.request('POST', '/list');
    const statuses = [];
    for (const [path, accept] of [
      ['/list', 'a'],
      ['/list', 'b'],
      ['/made', 'a'],
      ['/kept', 'a'],
    ] as const) {
      statuses.push((await edge.get(path, { accept })).cacheStatus.includes('; hit'));
    }
    expect(statuses).toEqual([false, false, false, true]);
  });
});

describe('stale responses', () => {
  it('answer at once within stale-while-revalidate, while one request refreshes them', async () => {
    await start();
    edge.origin(counting({ 'cache-control': 'max-age=10, stale-while-revalidate=30' }));
    await edge.get('/a');
    edge.pass(20);
    const origin = waiting();
    edge.origin(origin.listener);
    const stale = [await edge.get('/a'), await edge.get('/a'), await edge.get('/a')];
    expect(stale.map(({ text }) => text)).toEqual(['answer 1', 'answer 1', 'answer 1']);
    expect(stale[0]?.cacheStatus).toContain('stale while revalidating');
    (await origin.next()).writeHead(200, { 'cache-control': 'max-age=60' }).end('fresh');
    await until(async () => (await edge.get('/a')).text === 'fresh');
    expect(edge.asked).toHaveLength(2);
  });

  it('answer in place of a server error within stale-if-error, and not beyond', async () => {
    await start();
    edge.origin(counting({ 'cache-control': 'max-age=10, stale-if-error=60' }));
    await edge.get('/a');
    edge.origin(counting({}, 503));
    edge.pass(30);
    expect(await edge.get('/a')).toMatchObject({ status: 200, text: 'answer 1' });
    edge.pass(100);
    expect((await edge.get('/a')).status).toBe(503);
  });

  it('answer while the origin is out of reach, unless they must be revalidated', async () => {
    await start();
    edge.origin(counting({ 'cache-control': 'max-age=10' }));
    await edge.get('/a');
    edge.origin(counting({ 'cache-control': 'max-age=10, must-revalidate' }));
    await edge.get('/strict');
    edge.pass(30);
    edge.origin((request) => request.socket.destroy());
    expect(await edge.get('/a')).toMatchObject({ status: 200, text: 'answer 1' });
    expect((await edge.get('/strict')).status).toBe(502);
    edge.pass(7200);
    expect((await edge.get('/a')).status).toBe(502);
  });
});

describe('route policies', () => {
  it('give a lifetime to responses that state none, and to errors one of their own', async () => {
    await start({ policies: [{ path: '/api/*', defaultTtlSeconds: 60, negativeTtlSeconds: 5 }] });
    edge.origin((request, response) => {
      response.statusCode = request.url === '/api/none' ? 404 : 200;
      response.end(String(edge.asked.length));
    });
    for (const path of ['/api/a', '/api/none', '/other']) await edge.get(path);
    edge.pass(3);
    const hits = [];
    for (const path of ['/api/a', '/api/none', '/other'])
      hits.push((await edge.get(path)).cacheStatus.includes('; hit'));
    expect(hits).toEqual([true, true, false]);
    edge.pass(3);
    expect((await edge.get('/api/none')).cacheStatus).toContain('fwd=');
  });

  it('remember for the negative lifetime that the origin cannot be reached', async () => {
    await start({ policies: [{ path: '/*', negativeTtlSeconds: 5 }] });
    edge.origin((request) => request.socket.destroy());
    expect((await edge.get('/a')).status).toBe(502);
    expect((await edge.get('/a')).status).toBe(502);
    expect(edge.asked).toHaveLength(1);
    edge.pass(6);
    edge.origin(counting({ 'cache-control': 'max-age=60' }));
    expect((await edge.get('/a')).status).toBe(200);
  });

  it('keep responses out of the cache, or bound what is stored', async () => {
    await start({
      policies: [
        { path: '/never/*', cache: false },
        { path: '/small/*', maxBytes: 10 },
      ],
    });
    edge.origin((_request, response) => {
      response.writeHead(200, { 'cache-control': 'max-age=60' });
      response.end('x'.repeat(20));
    });
    for (const path of ['/never/a', '/small/a']) {
      await edge.get(path);
      expect((await edge.get(path)).cacheStatus).toContain('fwd=');
    }
  });
});
