import { gunzipSync } from 'node:zlib';
import { behavior, cachePolicy, cacheResult, distributionConfig, TestCdn } from './harness';

let cdn: TestCdn;
beforeEach(async () => {
  cdn = await TestCdn.start();
  cdn.deploy();
});
afterEach(() => cdn.stop());

describe('representations', () => {
  test('compresses for viewers who accept it, under a key of its own, and weakens the ETag', async () => {
    cdn.cloudFront.registry.addCachePolicy('test', cachePolicy({}, { EnableAcceptEncodingGzip: true }));
    cdn.deploy(distributionConfig({ DefaultCacheBehavior: behavior({ Compress: true }) }));
    const long = JSON.stringify({ text: 'abc '.repeat(1000) });
    cdn.origin.respond = (_received, response) => {
      const headers = { 'content-type': 'application/json', etag: '"e"', 'cache-control': 'max-age=9' };
      response.writeHead(200, { ...headers, 'content-length': long.length }).end(long);
    };
    const zipped = await cdn.get('/a', { 'accept-encoding': 'gzip, deflate' });
    const plain = await cdn.get('/a');
    const again = await cdn.get('/a', { 'accept-encoding': 'deflate, gzip' });
    expect(zipped.headers).toMatchObject({ 'content-encoding': 'gzip', etag: 'W/"e"', vary: 'Accept-Encoding' });
    expect(gunzipSync(Buffer.from(zipped.body, 'latin1')).toString()).toBe(long);
    expect([plain.body, plain.headers['content-encoding']]).toEqual([long, undefined]);
    expect([cacheResult(plain), cacheResult(again)]).toEqual(['Miss', 'Hit']);
  });

  test.each([
    ['bytes=0-3', 206, '0123', 'bytes 0-3/10'],
    ['bytes=7-', 206, '789', 'bytes 7-9/10'],
    ['bytes=-2', 206, '89', 'bytes 8-9/10'],
    ['bytes=5-100', 206, '56789', 'bytes 5-9/10'],
    ['bytes=10-', 416, '', 'bytes */10'],
    ['bytes=0-1,3-4', 200, '0123456789', undefined],
  ])('range %s, from the origin and from the cache', async (range, status, body, contentRange) => {
    cdn.origin.respond = (_received, response) => {
      response.writeHead(200, { 'content-length': 10, 'cache-control': 'max-age=9' }).end('0123456789');
    };
    for (const answer of [await cdn.get('/a', { range }), await cdn.get('/a', { range })]) {
      expect([answer.status, answer.body, answer.headers['content-range']]).toEqual([status, body, contentRange]);
    }
    expect(cdn.origin.received).toHaveLength(1);
  });

  test('a viewer with the stored ETag gets 304', async () => {
    cdn.origin.respond = (_received, response) => {
      response.writeHead(200, { etag: '"e"', 'cache-control': 'max-age=9' }).end('body');
    };
    await cdn.get('/a');
    const answer = await cdn.get('/a', { 'if-none-match': '"x", W/"e"' });
    expect([answer.status, answer.body]).toEqual([304, '']);
  });

  test('a body that breaks off is not stored', async () => {
    cdn.origin.respond = (_received, response) => {
      response.writeHead(200, { 'content-length': 10, 'cache-control': 'max-age=9' });
      response.write('0123', () => response.destroy());
    };
    await expect(cdn.get('/a')).rejects.toThrow();
    cdn.origin.respond = (_received, response) => void response.end('whole');
    expect((await cdn.get('/a')).body).toBe('whole');
  });

  test('the least recently used object gives way when a POP is full', async () => {
    await cdn.stop();
    cdn = await TestCdn.start({ popBytes: 10_000 });
    cdn.deploy();
    cdn.origin.respond = (_received, response) => {
      response.writeHead(200, { 'cache-control': 'max-age=9' }).end('x'.repeat(3000));
    };
    for (const path of ['/1', '/2', '/1', '/3']) await cdn.get(path);
    expect([cacheResult(await cdn.get('/1')), cacheResult(await cdn.get('/2'))]).toEqual(['Hit', 'Miss']);
  });
});
