import { readdir, rm } from 'node:fs/promises';
import type { RequestListener } from 'node:http';
import { join } from 'node:path';
import { deferred, until } from '../cache/fixtures';
import { type CacheUnderTest, startCache } from './harness';
import { counting, waiting } from './origins';

let edge: CacheUnderTest;
const start = async (options: Parameters<typeof startCache>[0] = {}) => {
  edge = await startCache(options);
};
afterEach(() => edge.stop());

describe('bodies', () => {
  const LARGE = Buffer.alloc(3 * 1024 * 1024, 'abcdefghij');
  const large: RequestListener = (_request, response) => {
    response.writeHead(200, { 'cache-control': 'max-age=60', etag: '"big"' }).end(LARGE);
  };

  it('that are large go to the disk, and answer whole, by range and by 304 from there', async () => {
    await start({ withDisk: true });
    edge.origin(large);
    expect((await edge.get('/big')).text).toBe(LARGE.toString());
    await until(() => edge.bodies?.usage().entries === 1);
    const again = await edge.get('/big');
    expect(again.text).toBe(LARGE.toString());
    expect(again.cacheStatus).toContain('; hit');
    const range = await edge.get('/big', { range: 'bytes=1048570-1048589' });
    expect(range).toMatchObject({ status: 206, text: LARGE.subarray(1048570, 1048590).toString() });
    expect(range.headers.get('content-range')).toBe(`bytes 1048570-1048589/${LARGE.length}`);
    // Fetch adds `no-cache` to a conditional request that has no Cache-Control of its own.
    const asUsual = { 'cache-control': 'as-usual', pragma: 'as-usual' };
    expect((await edge.get('/big', { 'if-none-match': '"big"', ...asUsual })).status).toBe(304);
    expect((await edge.get('/big', { range: `bytes=${LARGE.length}-` })).status).toBe(416);
    expect((await edge.get('/big', { range: 'bytes=0-1', 'if-range': '"other"', ...asUsual })).status).toBe(200);
    expect(edge.asked).toHaveLength(1);
    expect(edge.cache.stats().bytes.memory).toBeLessThan(100_000);
  });

  it.each([0, 120])('that have gone from the disk are fetched again (%s s later)', async (seconds) => {
    await start({ withDisk: true });
    edge.origin((request, response) => {
      if (request.headers['if-none-match'] === '"big"') response.writeHead(304, { etag: '"big"' }).end();
      else large(request, response);
    });
    await edge.get('/big');
    await until(async () => (await edge.get('/big')).cacheStatus.includes('; hit'));
    const files = (await readdir(edge.bodiesDirectory)).filter((name) => name.endsWith('.body'));
    for (const name of files) await rm(join(edge.bodiesDirectory, name));
    expect(files).toHaveLength(1);
    edge.pass(seconds);
    expect(await edge.get('/big')).toMatchObject({ status: 200, text: LARGE.toString() });
  });

  it('are read by several clients while they arrive', async () => {
    await start({ withDisk: true });
    const origin = waiting();
    edge.origin(origin.listener);
    const first = edge.get('/big');
    const response = await origin.next();
    response.writeHead(200, { 'cache-control': 'max-age=60', 'content-length': LARGE.length });
    response.write(LARGE.subarray(0, 2_000_000));
    const second = edge.get('/big');
    response.end(LARGE.subarray(2_000_000));
    const texts = [(await first).text, (await second).text];
    expect(texts.every((text) => text === LARGE.toString())).toBe(true);
    expect(edge.asked).toHaveLength(1);
  });

  it.each([false, true])('that break off break the connection and are not stored (disk: %s)', async (withDisk) => {
    await start({ withDisk });
    edge.origin((_request, response) => {
      response.writeHead(200, { 'cache-control': 'max-age=60', 'content-length': LARGE.length });
      response.write(LARGE.subarray(0, 1_000_000), () => response.destroy());
    });
    await expect(edge.get('/big')).rejects.toThrow();
    edge.origin(large);
    const whole = await edge.get('/big');
    expect(whole.text).toBe(LARGE.toString());
    expect(whole.cacheStatus).toContain('fwd=uri-miss');
  });

  it('that are parts are stored when they are as long as they say, however they are framed', async () => {
    await start();
    let body = 'efgh';
    edge.origin((_request, response) => {
      response.writeHead(206, { 'cache-control': 'max-age=60', 'content-range': 'bytes 4-7/10' });
      response.write(body.slice(0, 2));
      response.end(body.slice(2));
    });
    expect(await edge.get('/part', { range: 'bytes=4-7' })).toMatchObject({ status: 206, text: 'efgh' });
    expect(await edge.get('/part', { range: 'bytes=5-6' })).toMatchObject({ status: 206, text: 'fg' });
    expect(edge.asked).toHaveLength(1);
    body = 'efg';
    await edge.get('/short', { range: 'bytes=4-7' });
    body = 'efgh';
    expect((await edge.get('/short', { range: 'bytes=4-7' })).text).toBe('efgh');
    body = 'efghi';
    expect((await edge.get('/long', { range: 'bytes=4-7' })).status).toBe(502);
  });

  it('of HEAD are none, with the length of the stored one', async () => {
    await start();
    edge.origin(counting({ 'cache-control': 'max-age=60' }));
    await edge.get('/a');
    const head = await edge.request('HEAD', '/a');
    expect(head).toMatchObject({ status: 200, text: '' });
    expect(head.headers.get('content-length')).toBe('8');
    expect(edge.asked).toHaveLength(1);
  });
});

describe('a HEAD that goes to the origin', () => {
  const stale = { 'cache-control': 'max-age=1' };

  it('refreshes the stored response that it confirms', async () => {
    await start();
    edge.origin(counting({ ...stale, etag: '"1"' }));
    await edge.get('/a');
    edge.pass(5);
    edge.origin(counting({ 'cache-control': 'max-age=60', etag: '"1"' }));
    await edge.request('HEAD', '/a');
    expect(await edge.get('/a')).toMatchObject({ text: 'answer 1' });
    expect(edge.asked).toEqual(['GET /a', 'HEAD /a']);
  });

  it('makes the stored response that it contradicts unusable', async () => {
    await start();
    edge.origin(counting({ 'cache-control': 'max-age=60', etag: '"1"' }));
    await edge.get('/a');
    edge.origin(counting({ 'cache-control': 'max-age=60', etag: '"2"' }));
    await edge.request('HEAD', '/a', { 'cache-control': 'no-cache' });
    expect((await edge.get('/a')).headers.get('etag')).toBe('"2"');
  });
});

describe('what the client is told', () => {
  it('names the tier, the remaining freshness and the age', async () => {
    await start();
    edge.origin(counting({ 'cache-control': 'max-age=60' }));
    expect((await edge.get('/a')).cacheStatus).toBe('mlcdn-edge; fwd=uri-miss; fwd-status=200; stored');
    edge.pass(10);
    const hit = await edge.get('/a');
    expect(hit.cacheStatus).toBe('mlcdn-edge; hit; ttl=49; detail=memory');
    expect(hit.headers.get('age')).toBe('10');
    const bypassed = await edge.get('/a', { 'cache-control': 'no-cache' });
    expect(bypassed.cacheStatus).toBe('mlcdn-edge; fwd=request; fwd-status=200; stored');
  });

  it('appends to the Cache-Status of the caches behind', async () => {
    await start();
    edge.origin(counting({ 'cache-control': 'max-age=60', 'cache-status': 'shield; hit' }));
    await edge.get('/a');
    expect((await edge.get('/a')).cacheStatus).toMatch(/^shield; hit, mlcdn-edge; hit;/);
  });

  it('has the tags of the origin under the one name that CloudFront reads', async () => {
    await start({ policies: [{ path: '/*', tags: ['route:all'] }] });
    edge.origin(
      counting({ 'cache-control': 'max-age=60', 'surrogate-key': 'user:1 User:2', 'x-amz-meta-cache-tag': 'a,b' }),
    );
    const expected = 'route:all,a,b,user:1,user:2';
    expect((await edge.get('/a')).headers.get('x-amz-meta-cache-tag')).toBe(expected);
    expect((await edge.get('/a')).headers.get('x-amz-meta-cache-tag')).toBe(expected);
    edge.purgeTag('user:2');
    expect((await edge.get('/a')).text).toBe('answer 2');
  });

  it("is the origin's status and reason as they came, however odd", async () => {
    await start();
    edge.origin((_request, response) => void response.writeHead(299, 'Quite Fine').end('odd'));
    expect(await edge.get('/a')).toMatchObject({ status: 299, text: 'odd' });
  });

  it('is 504 where only-if-cached finds nothing', async () => {
    await start();
    expect((await edge.get('/a', { 'cache-control': 'only-if-cached' })).status).toBe(504);
    expect(edge.asked).toEqual([]);
  });
});

describe('a GET with a body', () => {
  it('is neither answered from the cache nor stored: the body is no part of the key', async () => {
    await start();
    edge.origin((request, response) => {
      response.writeHead(200, { 'cache-control': 'max-age=60' });
      request.pipe(response);
    });
    const poison = await edge.getWithBody('/a', 'poison');
    expect(poison).toContain('poison');
    expect((await edge.get('/a')).text).toBe('');
    expect(await edge.getWithBody('/a', 'other')).toContain('other');
  });
});

describe('an origin at fault', () => {
  it('that never answers is a 504', async () => {
    await start({ originTimeoutMs: 200 });
    edge.origin(() => undefined);
    expect((await edge.get('/a')).status).toBe(504);
  });

  it('that sends more header than it may is a 502', async () => {
    await start();
    edge.origin((_request, response) => void response.writeHead(200, { 'x-long': 'x'.repeat(100_000) }).end());
    expect((await edge.get('/a')).status).toBe(502);
  });

  it.each([
    ['resets its connection', { isReset: true, goesOn: false }],
    ['closes its connection, while the body goes on', { isReset: false, goesOn: true }],
  ])('whose client %s is not left with a request that nobody waits for', async (_, { isReset, goesOn }) => {
    // Its silence is not what ends the request.
    await start({ originTimeoutMs: 3_600_000 });
    const gone = deferred<void>();
    const origin = waiting();
    edge.origin((request, response) => {
      response.once('close', () => gone.resolve());
      origin.listener(request, response);
    });
    const client = await edge.openAndHangUp('/never-stored');
    const response = await origin.next();
    response.writeHead(200, { 'cache-control': 'no-store' }).write('x');
    await until(() => response.headersSent);
    client.hangUp(isReset);
    const body = setInterval(() => goesOn && response.write('x'), 10);
    await gone.promise.finally(() => clearInterval(body));
    expect(response.writableFinished).toBe(false);
  });
});
