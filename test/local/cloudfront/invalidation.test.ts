import { once } from 'node:events';
import { get, type IncomingMessage, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { InvalidationLog, parseInvalidation } from '../../../local/cloudfront/invalidations';
import { cacheResult, TestCdn } from './harness';

let cdn: TestCdn;
beforeEach(async () => {
  cdn = await TestCdn.start();
  cdn.deploy();
});
afterEach(() => cdn.stop());

function answerWithTags(tags: string): void {
  cdn.origin.respond = (_received, response) => {
    response.writeHead(200, { 'cache-control': 'max-age=60', 'x-amz-meta-cache-tag': tags }).end('tagged');
  };
}

/** Which of these paths are still in the cache, each asked once. */
async function kept(...paths: string[]): Promise<string[]> {
  const results: string[] = [];
  for (const path of paths) if (cacheResult(await cdn.get(path)) === 'Hit') results.push(path);
  return results;
}

const PATHS = ['/a', '/a?x=1', '/ab', '/b'];

test.each([
  ['a path, without its queries', ['/a'], ['/a?x=1', '/ab', '/b']],
  ['a path with its query', ['/a?x=1'], ['/a', '/ab', '/b']],
  ['a path without leading slash', ['b'], ['/a', '/a?x=1', '/ab']],
  ['a wildcard at the end', ['/a*'], ['/b']],
  ['a star elsewhere is a character', ['/*b'], PATHS],
  ['everything', ['/*'], []],
])('%s', async (_name, items, expected) => {
  for (const path of PATHS) await cdn.get(path);
  cdn.invalidate(...items);
  expect(await kept(...PATHS)).toEqual(expected);
});

test('tags without regard to case, in every POP', async () => {
  answerWithTags('model:Ranker, user:1');
  await cdn.get('/a');
  await cdn.get('/a', { 'x-viewer-ip': '193.0.0.1' });
  answerWithTags('user:10');
  await cdn.get('/b');
  cdn.invalidate('#MODEL:ranker', '#user:2');
  expect(cacheResult(await cdn.get('/a', { 'x-viewer-ip': '193.0.0.1' }))).toBe('Miss');
  expect(await kept('/a', '/b')).toEqual(['/b']);
});

test('only the first fifty tags of an object count', async () => {
  answerWithTags(Array.from({ length: 51 }, (_, index) => `t${index}`).join(','));
  await cdn.get('/a');
  cdn.invalidate('#t50');
  expect(await kept('/a')).toEqual(['/a']);
  cdn.invalidate('#t49');
  expect(await kept('/a')).toEqual([]);
});

describe('an invalidation while the origin is being asked', () => {
  /** Lets a test answer the origin's requests by hand, in the order in which they came. */
  function answersByHand(): ServerResponse[] {
    const responses: ServerResponse[] = [];
    cdn.origin.respond = (_received, response) => {
      responses.push(response);
    };
    return responses;
  }

  const headers = { 'cache-control': 'max-age=60', 'x-amz-meta-cache-tag': 'model:m' };

  test.each([
    ['a path', '/a'],
    ['a tag', '#model:m'],
    ['a wildcard', '/*'],
  ])('by %s, before the headers: the answer is not stored, and later requests do not join it', async (_name, item) => {
    const responses = answersByHand();
    const early = cdn.get('/a');
    await cdn.origin.seen(1);
    cdn.invalidate(item);
    const late = cdn.get('/a');
    await cdn.origin.seen(2);
    responses[1]?.writeHead(200, headers).end('new');
    expect((await late).body).toBe('new');
    responses[0]?.writeHead(200, headers).end('old');
    expect((await early).body).toBe('old');
    const after = await cdn.get('/a');
    expect([cacheResult(after), after.body]).toEqual(['Hit', 'new']);
  });

  test('in the middle of the body: neither stored nor joined', async () => {
    const responses = answersByHand();
    const viewer = get(`${cdn.url}/a`, { agent: false });
    await cdn.origin.seen(1);
    responses[0]?.writeHead(200, headers).write('ol');
    const [early] = (await once(viewer, 'response')) as [IncomingMessage];
    await once(early, 'readable');
    cdn.invalidate('#model:m');
    const late = cdn.get('/a');
    await cdn.origin.seen(2);
    responses[0]?.end('d');
    expect(await text(early)).toBe('old');
    responses[1]?.writeHead(200, headers).end('new');
    expect((await late).body).toBe('new');
    expect((await cdn.get('/a')).body).toBe('new');
  });

  test('of another tag spares the fill', async () => {
    const responses = answersByHand();
    const early = cdn.get('/a');
    await cdn.origin.seen(1);
    cdn.invalidate('#model:other', '/b');
    responses[0]?.writeHead(200, headers).end('kept');
    await early;
    expect(await kept('/a')).toEqual(['/a']);
  });

  test('a confirmation that was asked for before does not bring the object back', async () => {
    const responses = answersByHand();
    const first = cdn.get('/a');
    await cdn.origin.seen(1);
    responses[0]?.writeHead(200, { ...headers, etag: '"1"' }).end('old');
    await first;
    cdn.clock.advanceSeconds(60);
    const confirming = cdn.get('/a');
    await cdn.origin.seen(2);
    cdn.invalidate('#model:m');
    responses[1]?.writeHead(304).end();
    expect((await confirming).body).toBe('old');
    const late = cdn.get('/a');
    await cdn.origin.seen(3);
    expect(cdn.origin.received[2]?.headers).not.toHaveProperty('if-none-match');
    responses[2]?.writeHead(200, headers).end('new');
    expect((await late).body).toBe('new');
  });
});

test('the log forgets what no fill under way can have missed', () => {
  const log = new InvalidationLog();
  const everything = parseInvalidation(['/*']);
  const early = log.begin();
  log.record(everything);
  const late = log.begin();
  expect([log.overtook(early, '/a', []), log.overtook(late, '/a', [])]).toEqual([true, false]);
  log.end(early);
  log.record(everything);
  expect(log.overtook(late, '/a', [])).toBe(true);
});

test.each([
  [[], 'at least one'],
  [['#a,b'], '#a,b'],
  [['#'], '1-256 characters'],
  [Array.from({ length: 16 }, (_, index) => `/${index}*`), '16 wildcard'],
  [Array.from({ length: 3001 }, (_, index) => `/${index}`), '3001 paths'],
])('refuses %#', (items, reason) => {
  expect(() => parseInvalidation(items)).toThrow(reason);
});
