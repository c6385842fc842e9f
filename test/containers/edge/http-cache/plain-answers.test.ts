import { setImmediate as turn } from 'node:timers/promises';
import { createMemoryStore } from '../../../../containers/edge/cache/memory-store';
import type { CacheStore } from '../../../../containers/edge/cache/types';
import { rawSocket } from '../../../support/raw-http';
import { type CacheUnderTest, type Reply, startCache } from './harness';

/** A tier below memory that answers in a later turn, and tells what it was asked for. */
function tierBelow() {
  const held = createMemoryStore(1024 * 1024);
  const lookedUp: string[] = [];
  const store: CacheStore = {
    tier: 'l1',
    async get(key) {
      lookedUp.push(key);
      await turn();
      return held.get(key);
    },
    set: async (entry) => held.set(entry),
    delete: async (key) => held.delete(key),
    clear: async () => held.clear(),
    close: () => held.close(),
  };
  return { store, lookedUp };
}

let edge: CacheUnderTest;
let lookedUp: string[];
beforeEach(async () => {
  const below = tierBelow();
  lookedUp = below.lookedUp;
  edge = await startCache({ below: below.store, policies: [{ path: '/private/*', cache: false }] });
});
afterEach(() => edge.stop());

/** Heeded by the router alone, and changes nothing. */
const ROUTED = { 'cache-control': 'max-stale=0' };
const comparable = ({ status, text, cacheStatus, headers }: Reply) => {
  // The connection's own: the server behind the cache has the test's settings.
  const { date: _date, 'keep-alive': _keepAlive, ...others } = Object.fromEntries(headers);
  return { status, text, cacheStatus, others };
};

describe('a plain request for what only a tier below memory holds', () => {
  it('is answered as the router does, and tells the tier', async () => {
    edge.origin((_request, response) => {
      const fields = { 'cache-control': 'max-age=60', etag: '"1"', 'x-own': 'yes' };
      response.writeHead(200, 'Fine', fields).end('stored');
    });
    await edge.get('/a');
    edge.pass(7);
    const plain = await edge.get('/a');
    expect(plain).toMatchObject({ status: 200, text: 'stored' });
    expect(plain.cacheStatus).toMatch(/^mlcdn-edge; hit; ttl=5[23]; detail=l1$/);
    expect(comparable(plain)).toEqual(comparable(await edge.get('/a', ROUTED)));
    expect(edge.asked).toEqual(['GET /a']);
  });

  it('gets its own variant', async () => {
    edge.origin((request, response) => {
      const fields = { 'cache-control': 'max-age=60', vary: 'x-kind' };
      response.writeHead(200, fields).end(`for ${request.headers['x-kind']}`);
    });
    for (const kind of ['a', 'b', 'a', 'b']) {
      expect((await edge.get('/v', { 'x-kind': kind })).text).toBe(`for ${kind}`);
    }
    expect(edge.asked).toHaveLength(2);
  });

  it('is answered in its place among those sent ahead', async () => {
    edge.origin((request, response) => {
      const body = `body of ${request.url}`;
      response.writeHead(200, { 'cache-control': 'max-age=60', 'content-length': body.length }).end(body);
    });
    await edge.get('/one');
    await edge.get('/two');
    const socket = await rawSocket(edge.url);
    const paths = ['/one', '/new', '/two', '/one'];
    socket.write(paths.map((path) => `GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`).join(''));
    const bodies: string[] = [];
    for (const _ of paths) bodies.push((await socket.answer()).body);
    expect(bodies).toEqual(paths.map((path) => `body of ${path}`));
    await socket.close();
  });
});

describe('a plain request for what no tier can answer with', () => {
  it('looks into each tier once, whether there is nothing or something stale', async () => {
    edge.origin((_request, response) => response.writeHead(200, { 'cache-control': 'max-age=60' }).end('fresh'));
    expect((await edge.get('/a')).cacheStatus).toContain('fwd=uri-miss');
    expect(lookedUp).toEqual(['/a']);
    edge.pass(61);
    expect((await edge.get('/a')).cacheStatus).toContain('fwd=stale');
    expect(lookedUp).toEqual(['/a', '/a']);
    expect(edge.asked).toHaveLength(2);
  });

  it('does not store what was invalidated since the look-up', async () => {
    edge.origin((_request, response) => {
      edge.purgeTag('t');
      response.writeHead(200, { 'cache-control': 'max-age=60', 'surrogate-key': 't' }).end('old');
    });
    await edge.get('/a');
    expect((await edge.get('/a')).cacheStatus).toContain('fwd=uri-miss');
  });

  it('does not look anywhere where the route is not cached', async () => {
    edge.origin((_request, response) => response.end('own'));
    expect((await edge.get('/private/a')).text).toBe('own');
    expect(lookedUp).toEqual([]);
  });

  it('may be given up by its client meanwhile', async () => {
    edge.origin((_request, response) => response.writeHead(200, { 'cache-control': 'max-age=60' }).end('later'));
    const { hangUp } = await edge.openAndHangUp('/gone');
    while (lookedUp.length === 0) await turn();
    hangUp();
    expect((await edge.get('/gone')).text).toBe('later');
  });
});
