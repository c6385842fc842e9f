import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { createClient } from 'redis';
import { createEdgeCache } from '../../../../containers/edge/cache/edge-cache';
import { InvalidationIndex } from '../../../../containers/edge/cache/invalidation-index';
import { createL1Store, type L1Store } from '../../../../containers/edge/cache/l1-store';
import { createMemoryStore } from '../../../../containers/edge/cache/memory-store';
import type { CacheEntry } from '../../../../containers/edge/cache/types';
import { startRedis, type TestRedis } from '../../../support/redis';
import { collectingLog, entryOf, filledWith, until } from './fixtures';

const ROOT = process.cwd();

describe('the L1 store', () => {
  let redis: TestRedis;
  let store: L1Store;
  const log = collectingLog();
  beforeAll(async () => {
    redis = await startRedis();
    store = createL1Store(redis.url, log, { deadlineMs: 200, failuresToOpen: 3, retryMs: 50 });
  });
  afterAll(async () => {
    await store.close();
    await redis.stop();
  });
  const isStored = (key: string) => async () => {
    await Promise.resolve(store.set(entryOf(key))).catch(() => undefined);
    return (await Promise.resolve(store.get(key)).catch(() => undefined)) !== undefined;
  };

  it('lets Redis expire an entry when its freshness ends', async () => {
    await until(isStored('connected'));
    await store.set(entryOf('k', { storedAt: Date.now() - 1_000, ttlMs: 61_000 }));
    await store.set(entryOf('stale', { storedAt: Date.now() - 1_000, ttlMs: 1_000 }));
    const client = createClient({ url: redis.url });
    await client.connect();
    const keys = await client.keys('*');
    const left = await client.pTTL(keys.find((key) => key.endsWith(':{k}')) ?? '');
    await client.destroy();
    expect(left).toBeGreaterThan(30_000);
    expect(left).toBeLessThanOrEqual(60_000);
    expect(keys.some((key) => key.endsWith(':{stale}'))).toBe(false);
  });

  it('keeps an entry for as long as it may be answered with stale', async () => {
    const stale = { storedAt: Date.now() - 2_000, ttlMs: 1_000, staleWhileRevalidateMs: 61_000, staleIfErrorMs: 5_000 };
    await store.set(entryOf('kept', stale));
    const left = Number(await redis.send('PTTL', 'mlcdn:entry:2:{kept}'));
    expect(left).toBeGreaterThan(30_000);
    expect(left).toBeLessThanOrEqual(60_000);
  });

  it('takes a value that has come to harm for none and counts it; what is filled instead is written over it', async () => {
    await until(isStored('connected'));
    const client = createClient({ url: redis.url });
    await client.connect();
    const cache = createEdgeCache({
      memory: createMemoryStore(0),
      l1: store,
      index: new InvalidationIndex({ epoch: 'a', seq: 0 }),
    });
    const key = 'mlcdn:entry:2:{harmed}';
    const harms = [() => client.setRange(key, 90, '!'), () => client.append(key, '!'), () => client.set(key, '')];
    try {
      for (const [n, harm] of harms.entries()) {
        const fill = async () => filledWith(`fill ${n}`);
        await store.set(entryOf('harmed', { body: Buffer.alloc(100) }));
        expect(await store.get('harmed')).toBeDefined();
        await harm();
        expect((await cache.getOrFill('harmed', fill)).body.toString()).toBe(`fill ${n}`);
        expect(cache.stats()).toMatchObject({ corrupt: n + 1, tierErrors: { l1: 0 } });
        await until(async () => (await store.get('harmed'))?.body.toString() === `fill ${n}`);
        expect(store.corrupt()).toBe(n + 1);
      }
    } finally {
      client.destroy();
    }
  });

  describe('leases', () => {
    const at = (seq: number, fields: Partial<CacheEntry> = {}) =>
      entryOf('leased', { stamp: { epoch: 'a', seq }, body: Buffer.from(`${seq}`), ...fields });
    const stored = async () => (await store.get('leased'))?.body.toString();
    beforeEach(async () => {
      await until(isStored('connected'));
      await redis.flush();
    });

    it('goes to one filler at a time, until it is given back or runs out', async () => {
      const token = await store.lease('leased', 60_000);
      expect(token).toBeDefined();
      expect(await store.lease('leased', 60_000)).toBeUndefined();
      await store.release('leased', 'the token of another');
      expect(await store.lease('leased', 60_000)).toBeUndefined();
      await store.release('leased', token ?? '');
      expect(await store.lease('leased', 20)).toBeDefined();
      await until(async () => (await store.lease('leased', 60_000)) !== undefined);
    });

    it('is given back by the set under it', async () => {
      await store.set(at(1, { storedAt: Date.now() + 5_000 }));
      const token = (await store.lease('leased', 60_000)) ?? '';
      await store.setUnderLease(at(1, { body: Buffer.from('again') }), token);
      expect(await stored()).toBe('again');
      expect(await store.lease('leased', 60_000)).toBeDefined();
    });

    it('is given back by an entry that nobody may be answered with any more, which is not stored', async () => {
      const token = (await store.lease('leased', 60_000)) ?? '';
      await store.setUnderLease(at(1, { storedAt: Date.now() - 10, ttlMs: 5 }), token);
      expect(await stored()).toBeUndefined();
      expect(await store.lease('leased', 60_000)).toBeDefined();
    });

    it('never replaces a newer stamp of the same epoch, held or lost', async () => {
      await store.set(at(9));
      const token = (await store.lease('leased', 60_000)) ?? '';
      await store.setUnderLease(at(8, { storedAt: Date.now() + 1_000 }), token);
      await store.setUnderLease(at(8, { storedAt: Date.now() + 1_000 }), 'lost');
      expect(await stored()).toBe('9');
      await store.setUnderLease(at(1, { stamp: { epoch: 'b', seq: 1 }, storedAt: Date.now() + 1_000 }), 'lost');
      expect(await stored()).toBe('1');
    });

    it('does not replace what another fill stored after it was lost, and leaves the lease of that fill alone', async () => {
      const begun = Date.now();
      const next = await store.lease('leased', 60_000);
      await store.set(at(3, { storedAt: begun + 1, body: Buffer.from('of another') }));
      await store.setUnderLease(at(3, { storedAt: begun }), 'lost');
      expect(await stored()).toBe('of another');
      expect(await store.lease('leased', 60_000)).toBeUndefined();
      await store.release('leased', next ?? '');
    });

    it('stores a slow fill whose lease ran out while nobody else filled', async () => {
      await store.set(at(3, { storedAt: Date.now() - 5_000, body: Buffer.from('old') }));
      await store.setUnderLease(at(3, { body: Buffer.from('slow') }), 'run out');
      expect(await stored()).toBe('slow');
    });
  });

  it('takes what it cannot read for a miss', async () => {
    const client = createClient({ url: redis.url });
    await client.connect();
    await store.set(entryOf('foreign'));
    const [key] = (await client.keys('*')).filter((name) => name.endsWith(':{foreign}'));
    for (const bytes of ['', 'not an entry', '\x02another format of at least thirty-five bytes']) {
      await client.set(key ?? '', bytes);
      expect(await store.get('foreign')).toBeUndefined();
    }
    await client.destroy();
  });

  it('gives up on a Redis that hangs, then leaves it alone, then comes back by itself', async () => {
    await until(isStored('hung'));
    redis.freeze();
    for (let i = 0; i < 3; i++) await expect(store.get('hung')).rejects.toThrow('did not answer within 200 ms');
    expect(await store.get('hung')).toBeUndefined();
    redis.thaw();
    await until(async () => (await Promise.resolve(store.get('hung')).catch(() => undefined)) !== undefined);
  });

  it('is a miss without a connection, says so once, and reconnects', async () => {
    await until(isStored('lost'));
    const { port } = redis;
    await redis.stop();
    await until(async () => (await Promise.resolve(store.get('lost')).catch(() => 'error')) === undefined);
    await store.set(entryOf('lost'));
    redis = await startRedis({ port });
    await until(isStored('found again'));
    expect(log.said).toEqual(['L1 cache lost; going on without it until it is back', 'L1 cache is back']);
  });

  it('refuses a URL that is not Redis', () => {
    expect(() => createL1Store('http://127.0.0.1:1', log)).toThrow('must be redis:// or rediss:// (TLS)');
  });

  it('speaks TLS to a certificate that NODE_EXTRA_CA_CERTS trusts, and to no other', async () => {
    const secure = await startRedis({ tls: true });
    const program = `
      const { createL1Store } = require(${JSON.stringify(`${ROOT}/containers/edge/cache/l1-store`)});
      const { entryOf } = require(${JSON.stringify(`${ROOT}/test/containers/edge/cache/fixtures`)});
      const said = (outcome) => { process.stdout.write(outcome); process.exit(0); };
      const log = { info() {}, error() {}, warn: ({ err }) => said(err.code) };
      const store = createL1Store(process.env.REDIS_URL, log, { deadlineMs: 5000 });
      setInterval(async () => {
        await store.set(entryOf('k'));
        if (await store.get('k')) said('stored');
      }, 20);`;
    const run = async (env: Record<string, string>): Promise<string> => {
      const options = { env: { ...process.env, REDIS_URL: secure.url, ...env }, cwd: ROOT };
      const { stdout } = await promisify(execFile)(process.execPath, ['--require', 'tsx/cjs', '-e', program], options);
      return stdout;
    };
    try {
      const outcomes = await Promise.all([run({ NODE_EXTRA_CA_CERTS: secure.caFile ?? '' }), run({})]);
      expect(outcomes).toEqual(['stored', 'DEPTH_ZERO_SELF_SIGNED_CERT']);
    } finally {
      await secure.stop();
    }
  });
});
