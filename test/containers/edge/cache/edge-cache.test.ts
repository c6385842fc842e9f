import { createEdgeCache, type EdgeCacheParts } from '../../../../containers/edge/cache/edge-cache';
import { InvalidationIndex } from '../../../../containers/edge/cache/invalidation-index';
import { createMemoryStore } from '../../../../containers/edge/cache/memory-store';
import type { BoundedStore, CacheEntry, CacheStore, Filled } from '../../../../containers/edge/cache/types';
import { deferred, entryOf, filledWith } from './fixtures';

/** A lasting tier in a Map, that can be told to fail or to take its time. */
class FakeStore implements BoundedStore {
  readonly held = new Map<string, CacheEntry>();
  failing = false;
  writes: Promise<void> = Promise.resolve();
  constructor(readonly tier: CacheStore['tier']) {}

  async get(key: string): Promise<CacheEntry | undefined> {
    if (this.failing) throw new Error(`${this.tier} is down`);
    return this.held.get(key);
  }
  async set(entry: CacheEntry): Promise<void> {
    await this.writes;
    if (this.failing) throw new Error(`${this.tier} is down`);
    this.held.set(entry.key, entry);
  }
  delete(key: string): void {
    this.held.delete(key);
  }
  clear(): void {
    this.held.clear();
  }
  async close(): Promise<void> {}
  usage() {
    return { bytes: 0, entries: this.held.size, evictions: 0, corrupt: 0 };
  }
}

function setUp(overrides: Partial<EdgeCacheParts> = {}) {
  const index = new InvalidationIndex({ epoch: 'a', seq: 0 });
  const memory = createMemoryStore(1_000_000);
  const l1 = new FakeStore('l1');
  const l2 = new FakeStore('l2');
  const time = { now: 1_000_000 };
  const cache = createEdgeCache({ memory, l1, l2, index, clock: () => time.now, ...overrides });
  let seq = 0;
  const invalidate = (tag: string) =>
    index.invalidate({ keys: [], tags: [tag], prefixes: [], patterns: [] }, { epoch: 'a', seq: ++seq });
  return { index, memory, l1, l2, time, cache, invalidate };
}
const constant = (body: string) => async () => filledWith(body);
const never = async (): Promise<Filled> => {
  throw new Error('the origin must not be asked');
};

describe('the edge cache', () => {
  it('asks the origin once, then answers from memory', async () => {
    const { cache } = setUp();
    const first = await cache.getOrFill('k', constant('one'));
    expect(first).toMatchObject({ tier: 'origin', stored: true, collapsed: false, ageSeconds: 0, ttlSeconds: 3_600 });
    expect(first.timings.map(({ tier }) => tier)).toEqual(['memory', 'l1', 'l2', 'origin']);
    const second = await cache.getOrFill('k', never);
    expect(second).toMatchObject({ tier: 'memory', stored: true });
    expect(second.body.toString()).toBe('one');
    expect(cache.stats()).toMatchObject({ hits: { memory: 1 }, misses: 1, fills: 1 });
  });

  it.each(['l1', 'l2'] as const)('answers from %s and promotes to every other tier, stamp included', async (tier) => {
    const { cache, memory, l1, l2, time } = setUp();
    const entry = entryOf('k', { storedAt: time.now - 5_000, stamp: { epoch: 'a', seq: 0 } });
    (tier === 'l1' ? l1 : l2).held.set('k', entry);
    expect(await cache.getOrFill('k', never)).toMatchObject({ tier, ageSeconds: 5, ttlSeconds: 3_595 });
    await cache.close();
    expect([l1.held.get('k'), l2.held.get('k')]).toEqual([entry, entry]);
    expect(memory.usage().entries).toBe(0);
  });

  it('answers with a promoted entry from memory the next time', async () => {
    const { cache, l2, time } = setUp();
    l2.held.set('k', entryOf('k', { storedAt: time.now }));
    await cache.getOrFill('k', never);
    expect((await cache.getOrFill('k', never)).tier).toBe('memory');
  });

  it('takes an expired entry for a miss at every tier', async () => {
    const { cache, l1, l2, time } = setUp();
    await cache.getOrFill('k', async () => filledWith('old', { ttlMs: 1_000 }));
    time.now += 999;
    expect((await cache.getOrFill('k', never)).tier).toBe('memory');
    time.now += 1;
    expect([l1.held.size, l2.held.size]).toEqual([1, 1]);
    expect((await cache.getOrFill('k', constant('new'))).body.toString()).toBe('new');
  });

  it('does not let another host with a fast clock lengthen the life of an entry', async () => {
    const { cache, l1, time } = setUp();
    l1.held.set('k', entryOf('k', { storedAt: time.now + 3_600_000, ttlMs: 10_000 }));
    expect(await cache.getOrFill('k', never)).toMatchObject({ tier: 'l1', ageSeconds: 0 });
    time.now += 10_000;
    l1.held.clear();
    expect((await cache.getOrFill('k', constant('new'))).tier).toBe('origin');
  });

  it('passes an answer without freshness on and does not keep it', async () => {
    const { cache, l1, l2 } = setUp();
    const answer = await cache.getOrFill('k', async () => filledWith('private', { ttlMs: 0 }));
    expect(answer).toMatchObject({ tier: 'origin', stored: false, ttlSeconds: 0 });
    await cache.close();
    expect([l1.held.size, l2.held.size]).toEqual([0, 0]);
  });

  it('counts a failing tier as a miss', async () => {
    const { cache, l1, l2 } = setUp();
    l1.failing = l2.failing = true;
    expect((await cache.getOrFill('k', constant('one'))).tier).toBe('origin');
    expect((await cache.getOrFill('k', never)).tier).toBe('memory');
    await cache.close();
    expect(cache.stats().tierErrors).toEqual({ memory: 0, l1: 2, l2: 2 });
  });

  it('rejects when the fill does, for everybody who waits, and tries again for the next', async () => {
    const { cache } = setUp();
    const origin = deferred<Filled>();
    const both = [cache.getOrFill('k', () => origin.promise), cache.getOrFill('k', never)];
    origin.reject(new Error('model not loaded'));
    for (const outcome of await Promise.allSettled(both)) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: new Error('model not loaded') });
    }
    expect((await cache.getOrFill('k', constant('fine'))).tier).toBe('origin');
    expect(cache.stats()).toMatchObject({ fillErrors: 1, fills: 2 });
  });

  it('runs one fill for all who ask meanwhile', async () => {
    const { cache } = setUp();
    const origin = deferred<Filled>();
    const asked = [
      cache.getOrFill('k', () => origin.promise),
      ...Array.from({ length: 9 }, () => cache.getOrFill('k', never)),
    ];
    origin.resolve(filledWith('one'));
    const answers = await Promise.all(asked);
    expect(answers.map(({ collapsed }) => collapsed)).toEqual([false, ...Array(9).fill(true)]);
    expect(new Set(answers.map(({ body }) => body.toString()))).toEqual(new Set(['one']));
    expect(cache.stats()).toMatchObject({ fills: 1, collapsed: 9 });
  });

  it('does not keep a fill that was invalidated while the origin worked, nor let later requests join it', async () => {
    const { cache, invalidate, l1, l2 } = setUp();
    const slow = deferred<Filled>();
    const asking = deferred<void>();
    const early = cache.getOrFill('k', () => {
      asking.resolve();
      return slow.promise;
    });
    await asking.promise;
    invalidate('model:ranker');
    const late = await cache.getOrFill('k', constant('new'));
    expect(late).toMatchObject({ tier: 'origin', collapsed: false, stored: true });
    slow.resolve(filledWith('old'));
    expect(await early).toMatchObject({ stored: false });
    expect((await cache.getOrFill('k', never)).body.toString()).toBe('new');
    await cache.close();
    expect([l1, l2].map(({ held }) => held.get('k')?.body.toString())).toEqual(['new', 'new']);
  });

  it('keeps a fill that an invalidation of something else overtook', async () => {
    const { cache, invalidate } = setUp();
    const slow = deferred<Filled>();
    const asking = deferred<void>();
    const answer = cache.getOrFill('k', () => {
      asking.resolve();
      return slow.promise;
    });
    await asking.promise;
    invalidate('model:other');
    slow.resolve(filledWith('still right'));
    expect(await answer).toMatchObject({ stored: true });
    expect((await cache.getOrFill('k', never)).tier).toBe('memory');
  });

  it('does not use what was invalidated in any tier', async () => {
    const { cache, invalidate } = setUp();
    await cache.getOrFill('k', constant('old'));
    invalidate('model:ranker');
    expect(await cache.getOrFill('k', constant('new'))).toMatchObject({ tier: 'origin' });
    expect(cache.stats().invalidated).toBe(3);
  });

  it('leaves lasting tiers alone until the control log has been caught up with', async () => {
    let caughtUp = false;
    const { cache, l1, l2, time } = setUp({ mayUseLasting: () => caughtUp });
    for (const store of [l1, l2]) store.held.set('k', entryOf('k', { storedAt: time.now }));
    expect((await cache.getOrFill('k', async () => filledWith('computed', { ttlMs: 0 }))).tier).toBe('origin');
    caughtUp = true;
    expect((await cache.getOrFill('k', never)).tier).toBe('l1');
  });

  it('writes out what is pending before it closes', async () => {
    const { cache, l2 } = setUp();
    const disk = deferred<void>();
    l2.writes = disk.promise;
    await cache.getOrFill('k', constant('one'));
    const closed = cache.close();
    expect(l2.held.size).toBe(0);
    disk.resolve();
    await closed;
    expect(l2.held.size).toBe(1);
  });
});

describe('getOrFillMany', () => {
  const filling = (calls: number[][], keys: readonly string[]) => async (indexes: readonly number[]) => {
    calls.push([...indexes]);
    return indexes.map((index) => filledWith(`answer to ${keys[index]}`));
  };

  it('fills what no tier holds by one call, each key once, and answers in order', async () => {
    const { cache, l1, l2, time } = setUp();
    await cache.getOrFill('memory', constant('from memory'));
    l1.held.set('l1', entryOf('l1', { storedAt: time.now }));
    l2.held.set('l2', entryOf('l2', { storedAt: time.now }));
    const keys = ['new', 'memory', 'l1', 'new', 'l2', 'other'];
    const calls: number[][] = [];
    const answers = await cache.getOrFillMany(keys, filling(calls, keys));
    expect(calls).toEqual([[0, 5]]);
    expect(answers.map(({ tier }) => tier)).toEqual(['origin', 'memory', 'l1', 'origin', 'l2', 'origin']);
    expect(answers[3]?.body.toString()).toBe('answer to new');
    expect(answers[5]?.body.toString()).toBe('answer to other');
  });

  it('asks nobody for nothing', async () => {
    const { cache } = setUp();
    await expect(cache.getOrFillMany([], () => Promise.reject(new Error('asked')))).resolves.toEqual([]);
  });

  it('shares fills with single requests, in both directions', async () => {
    const { cache } = setUp();
    const single = deferred<Filled>();
    const one = cache.getOrFill('shared', () => single.promise);
    const rest = deferred<readonly Filled[]>();
    const asked = deferred<readonly number[]>();
    const many = cache.getOrFillMany(['shared', 'own'], (indexes) => {
      asked.resolve(indexes);
      return rest.promise;
    });
    expect(await asked.promise).toEqual([1]);
    const joining = cache.getOrFill('own', never);
    single.resolve(filledWith('single'));
    expect((await one).body.toString()).toBe('single');
    rest.resolve([filledWith('own')]);
    expect((await many).map(({ collapsed }) => collapsed)).toEqual([true, false]);
    expect(await joining).toMatchObject({ collapsed: true });
  });

  it('rejects when the fill does, or gives back too few answers', async () => {
    const { cache } = setUp();
    await expect(cache.getOrFillMany(['a', 'b'], () => Promise.reject(new Error('no model')))).rejects.toThrow(
      'no model',
    );
    await expect(cache.getOrFillMany(['a', 'b'], async () => [filledWith('only one')])).rejects.toThrow(
      'a fill of 2 keys gave back 1 answers',
    );
    expect((await cache.getOrFill('a', constant('fine'))).tier).toBe('origin');
  });

  it('does not let a request after an invalidation share an entry that the batch had already found', async () => {
    const { cache, l1, invalidate, time } = setUp();
    l1.held.set('found', entryOf('found', { storedAt: time.now }));
    const rest = deferred<readonly Filled[]>();
    const asking = deferred<void>();
    const batch = cache.getOrFillMany(['found', 'missing'], () => {
      asking.resolve();
      return rest.promise;
    });
    await asking.promise;
    invalidate('model:ranker');
    expect(await cache.getOrFill('found', constant('new'))).toMatchObject({ tier: 'origin', collapsed: false });
    rest.resolve([filledWith('late')]);
    expect((await batch)[0]?.tier).toBe('l1');
  });
});
