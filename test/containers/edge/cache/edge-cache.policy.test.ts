import { createEdgeCache, type EdgeCacheParts } from '../../../../containers/edge/cache/edge-cache';
import { InvalidationIndex } from '../../../../containers/edge/cache/invalidation-index';
import { createMemoryStore } from '../../../../containers/edge/cache/memory-store';
import type { CacheEntry, Filled, FillPolicy, SharedStore } from '../../../../containers/edge/cache/types';
import { deferred, entryOf, filledWith, until } from './fixtures';

/** An L1 that two caches share, with its leases. */
class SharedMap implements SharedStore {
  readonly tier = 'l1';
  readonly held = new Map<string, CacheEntry>();
  readonly leases = new Map<string, string>();
  #tokens = 0;

  get(key: string): CacheEntry | undefined {
    return this.held.get(key);
  }
  set(entry: CacheEntry): void {
    this.held.set(entry.key, entry);
  }
  delete(key: string): void {
    this.held.delete(key);
  }
  clear(): void {
    this.held.clear();
  }
  async close(): Promise<void> {}
  async lease(key: string): Promise<string | undefined> {
    if (this.leases.has(key)) return undefined;
    const token = `token ${++this.#tokens}`;
    this.leases.set(key, token);
    return token;
  }
  async setUnderLease(entry: CacheEntry, token: string): Promise<void> {
    this.held.set(entry.key, entry);
    await this.release(entry.key, token);
  }
  async release(key: string, token: string): Promise<void> {
    if (this.leases.get(key) === token) this.leases.delete(key);
  }
}

const open: ReturnType<typeof createEdgeCache>[] = [];
afterEach(async () => {
  for (const cache of open.splice(0)) await cache.close();
});

function setUp(overrides: Partial<EdgeCacheParts> = {}, l1 = new SharedMap()) {
  const time = { now: 1_000_000 };
  const index = new InvalidationIndex({ epoch: 'a', seq: 0 });
  const memory = createMemoryStore(1_000_000);
  const leaseTiming = { ttlMs: 5_000, pollMs: 1 };
  const cache = createEdgeCache({ memory, l1, index, clock: () => time.now, leaseTiming, ...overrides });
  open.push(cache);
  let seq = 0;
  const invalidate = (tag: string) =>
    index.invalidate({ keys: [], tags: [tag], prefixes: [], patterns: [] }, { epoch: 'a', seq: ++seq });
  return { time, index, memory, l1, cache, invalidate };
}
const constant = (body: string, fields: Partial<Filled> = {}) => {
  return async () => filledWith(body, fields);
};
const failing = async (): Promise<Filled> => {
  throw new Error('the origin is down');
};
const never = async (): Promise<Filled> => {
  throw new Error('the origin must not be asked');
};
const REVALIDATED = { ttlMs: 1_000, staleWhileRevalidateMs: 2_000 };
const KEPT_FOR_ERRORS = { ttlMs: 1_000, staleIfErrorMs: 5_000 };

describe('stale-while-revalidate', () => {
  it('answers at once with the stale entry while one fill refreshes it', async () => {
    const { cache, time } = setUp();
    await cache.getOrFill('k', constant('old', REVALIDATED));
    time.now += 1_500;
    const origin = deferred<Filled>();
    let fills = 0;
    const fill = () => {
      fills += 1;
      return origin.promise;
    };
    const answers = await Promise.all([cache.getOrFill('k', fill), cache.getOrFill('k', fill)]);
    expect(answers.map(({ body, stale, tier }) => `${body} ${stale} ${tier}`)).toEqual([
      'old true memory',
      'old true memory',
    ]);
    expect(answers[0]).toMatchObject({ ageSeconds: 1, ttlSeconds: -1, stored: true });
    await until(() => fills > 0);
    origin.resolve(filledWith('new'));
    await until(async () => (await cache.getOrFill('k', never)).stale === false);
    expect((await cache.getOrFill('k', never)).body.toString()).toBe('new');
    expect(fills).toBe(1);
    expect(cache.stats()).toMatchObject({ fills: 2, staleServes: { revalidating: expect.any(Number), error: 0 } });
  });

  it('waits for the fill once the window has passed', async () => {
    const { cache, time } = setUp();
    await cache.getOrFill('k', constant('old', REVALIDATED));
    time.now += 3_000;
    expect(await cache.getOrFill('k', constant('new'))).toMatchObject({ tier: 'origin', stale: false });
  });

  it('never answers with a stale entry that was invalidated', async () => {
    const { cache, time, invalidate } = setUp();
    await cache.getOrFill('k', constant('old', REVALIDATED));
    time.now += 1_500;
    invalidate('model:ranker');
    expect(await cache.getOrFill('k', constant('new'))).toMatchObject({ tier: 'origin', stale: false });
  });

  it('does not store a refresh that was invalidated while the origin worked', async () => {
    const { cache, time, invalidate } = setUp();
    await cache.getOrFill('k', constant('old', REVALIDATED));
    time.now += 1_500;
    const origin = deferred<Filled>();
    const asking = deferred<void>();
    await cache.getOrFill('k', () => {
      asking.resolve();
      return origin.promise;
    });
    await asking.promise;
    invalidate('model:ranker');
    origin.resolve(filledWith('read before the invalidation'));
    expect((await cache.getOrFill('k', constant('new'))).body.toString()).toBe('new');
    expect((await cache.getOrFill('k', never)).body.toString()).toBe('new');
  });

  it('answers with what L1 holds past its freshness, and refreshes that', async () => {
    const { cache, l1, time } = setUp();
    l1.set(entryOf('k', { storedAt: time.now - 1_500, ...REVALIDATED }));
    expect(await cache.getOrFill('k', constant('new'))).toMatchObject({ tier: 'l1', stale: true });
    await until(async () => !(await cache.getOrFill('k', constant('new'))).stale);
    expect(l1.held.get('k')?.body.toString()).toBe('new');
  });

  it('refreshes all stale keys of a batch by one call', async () => {
    const { cache, time } = setUp();
    for (const key of ['a', 'b']) await cache.getOrFill(key, constant('old', REVALIDATED));
    time.now += 1_500;
    const calls: (readonly number[])[] = [];
    const answers = await cache.getOrFillMany(['a', 'b'], async (indexes) => {
      calls.push(indexes);
      return indexes.map(() => filledWith('new'));
    });
    expect(answers.map(({ stale }) => stale)).toEqual([true, true]);
    await until(() => cache.peek('b') !== undefined);
    expect(calls).toEqual([[0, 1]]);
  });
});

describe('stale-if-error', () => {
  it('answers with the stale entry when the fill fails within the window, and rejects after it', async () => {
    const { cache, time } = setUp();
    await cache.getOrFill('k', constant('old', KEPT_FOR_ERRORS));
    time.now += 5_999;
    const answer = await cache.getOrFill('k', failing);
    expect(answer).toMatchObject({ tier: 'memory', stale: true });
    expect(cache.stats()).toMatchObject({ staleServes: { revalidating: 0, error: 1 }, fillErrors: 1 });
    time.now += 1;
    await expect(cache.getOrFill('k', failing)).rejects.toThrow('the origin is down');
  });

  it('rejects when the stale entry was invalidated while the origin worked', async () => {
    const { cache, time, invalidate } = setUp();
    await cache.getOrFill('k', constant('old', KEPT_FOR_ERRORS));
    time.now += 2_000;
    const origin = deferred<Filled>();
    const asking = deferred<void>();
    const answer = cache.getOrFill('k', () => {
      asking.resolve();
      return origin.promise;
    });
    const rejected = expect(answer).rejects.toThrow('the origin is down');
    await asking.promise;
    invalidate('model:ranker');
    origin.reject(new Error('the origin is down'));
    await rejected;
  });
});

describe('a fill policy', () => {
  it('shortens lifetimes at random by up to its share', async () => {
    const { cache, time } = setUp({ random: () => 0.5 });
    await cache.getOrFill('k', constant('one', { ttlMs: 10_000 }), { ttlJitter: 0.2 });
    time.now += 8_999;
    expect(cache.peek('k')).toBeDefined();
    time.now += 1;
    expect(cache.peek('k')).toBeUndefined();
  });

  it('does not store what is larger than it allows', async () => {
    const { cache, l1 } = setUp();
    const policy: FillPolicy = { maxBytes: 3 };
    expect(await cache.getOrFill('k', constant('four'), policy)).toMatchObject({ stored: false });
    expect(await cache.getOrFill('k', constant('two'), policy)).toMatchObject({ stored: true });
    expect(l1.held.size).toBe(1);
  });

  it('keeps entries in the tiers that it names only, when they are promoted too', async () => {
    const { cache, l1, time } = setUp();
    await cache.getOrFill('local', constant('one'), { tiers: ['memory'] });
    expect([l1.held.has('local'), cache.peek('local') !== undefined]).toEqual([false, true]);
    l1.set(entryOf('shared', { storedAt: time.now }));
    expect((await cache.getOrFill('shared', never, { tiers: ['l1'] })).tier).toBe('l1');
    expect(cache.peek('shared')).toBeUndefined();
  });
});

describe('one fill per region', () => {
  const once: FillPolicy = { oncePerRegion: true };

  it('lets one task fill and the other answer with its entry', async () => {
    const one = setUp();
    const other = setUp({}, one.l1);
    const origin = deferred<Filled>();
    const first = one.cache.getOrFill('k', () => origin.promise, once);
    await until(() => one.l1.leases.has('k'));
    const second = other.cache.getOrFill('k', never, once);
    origin.resolve(filledWith('filled once'));
    expect([(await first).tier, (await second).tier]).toEqual(['origin', 'l1']);
    expect((await second).body.toString()).toBe('filled once');
    expect(one.l1.leases.size).toBe(0);
  });

  it.each([
    ['fails', failing],
    ['gives nothing to keep', constant('private', { ttlMs: 0 })],
  ])('lets the other fill when the first %s', async (_name, fill) => {
    const one = setUp();
    const other = setUp({}, one.l1);
    const go = deferred<void>();
    const first = one.cache.getOrFill('k', () => go.promise.then(fill), once).catch(() => undefined);
    await until(() => one.l1.leases.has('k'));
    const second = other.cache.getOrFill('k', constant('second'), once);
    go.resolve();
    await first;
    expect((await second).body.toString()).toBe('second');
  });

  it('does not take the entry of a fill that an invalidation overtook', async () => {
    const one = setUp();
    const other = setUp({}, one.l1);
    const origin = deferred<Filled>();
    const first = one.cache.getOrFill('k', () => origin.promise, once);
    await until(() => one.l1.leases.has('k'));
    other.invalidate('model:ranker');
    const second = other.cache.getOrFill('k', constant('new'), once);
    origin.resolve(filledWith('old'));
    await first;
    expect((await second).body.toString()).toBe('new');
  });

  it('fills batches that wait for each other crosswise without waiting out the leases', async () => {
    const one = setUp();
    const other = setUp({}, one.l1);
    const filling = (name: string) => async (indexes: readonly number[]) => indexes.map(() => filledWith(name));
    const both = await Promise.all([
      one.cache.getOrFillMany(['a', 'b'], filling('one'), once),
      other.cache.getOrFillMany(['b', 'a'], filling('other'), once),
    ]);
    expect(both.flat()).toHaveLength(4);
    expect(one.l1.leases.size).toBe(0);
  });

  it('hands the regional fill to callers that store for themselves', async () => {
    const one = setUp();
    const other = setUp({}, one.l1);
    expect(await one.cache.joinRegionalFill('k')).toBeUndefined();
    const joined = other.cache.joinRegionalFill('k');
    expect(one.cache.beginFill('k').commit(filledWith('stored'))).toBe(true);
    expect((await joined)?.entry.body.toString()).toBe('stored');
    expect(await one.cache.joinRegionalFill('abandoned')).toBeUndefined();
    const next = other.cache.joinRegionalFill('abandoned');
    one.cache.abandonRegionalFill('abandoned');
    expect(await next).toBeUndefined();
  });
});

describe('find, peek and tickets', () => {
  it('finds fresh and stale entries, without waiting where only memory can hold them, and counts nothing', async () => {
    const { cache, time } = setUp({ l1: undefined });
    await cache.getOrFill('k', constant('one', KEPT_FOR_ERRORS));
    expect(cache.find('k')).toMatchObject({ tier: 'memory' });
    time.now += 2_000;
    expect(cache.find('k')).toMatchObject({ tier: 'memory' });
    expect(cache.peek('k')).toBeUndefined();
    time.now += 4_000;
    expect(await cache.find('k')).toBeUndefined();
    expect(cache.stats().hits.memory).toBe(0);
    cache.recordHit('l1', 'revalidating');
    cache.recordHit('memory', 'error');
    cache.recordHit('memory');
    expect(cache.stats()).toMatchObject({ hits: { l1: 1, memory: 2 }, staleServes: { revalidating: 1, error: 1 } });
  });

  it('stores by a ticket, unless an invalidation came after it', async () => {
    const { cache, invalidate } = setUp();
    const early = cache.beginFill('k');
    expect(early.isCurrent()).toBe(true);
    invalidate('model:other');
    expect(early.isCurrent()).toBe(false);
    expect(early.commit(filledWith('of another tag'))).toBe(true);
    const hit = cache.beginFill('k');
    invalidate('model:ranker');
    expect(hit.commit(filledWith('too old'))).toBe(false);
    expect(await cache.find('k')).toBeUndefined();
  });

  it('reaches variants by their base key', async () => {
    const { cache } = setUp();
    expect(cache.beginFill('k').commit(filledWith('in French'), {}, 'fr')).toBe(true);
    expect(cache.peek('k\nfr')?.body.toString()).toBe('in French');
    cache.invalidateKeys(['k']);
    expect(await cache.find('k\nfr')).toBeUndefined();
  });
});

describe('invalidateKeys', () => {
  it('hits memory, L1 and fills under way at once, and nothing that is filled after it', async () => {
    const { cache, l1 } = setUp();
    await cache.getOrFill('k', constant('old'));
    const ticket = cache.beginFill('k');
    const slow = deferred<Filled>();
    const asking = deferred<void>();
    cache.invalidateKeys(['k']);
    expect(await cache.find('k')).toBeUndefined();
    expect([l1.held.size, ticket.isCurrent(), ticket.commit(filledWith('old'))]).toEqual([1, false, false]);
    const joinable = cache.getOrFill('k', () => {
      asking.resolve();
      return slow.promise;
    });
    await asking.promise;
    slow.resolve(filledWith('new'));
    expect(await joinable).toMatchObject({ stored: true });
    expect(cache.peek('k')?.body.toString()).toBe('new');
  });

  it('leaves fills of other keys joinable', async () => {
    const { cache } = setUp();
    const ticket = cache.beginFill('other');
    cache.invalidateKeys(['k']);
    expect(ticket.isCurrent()).toBe(true);
  });
});
