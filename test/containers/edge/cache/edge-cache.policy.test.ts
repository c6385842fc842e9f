import type { Filled, FillPolicy } from '../../../../containers/edge/cache/types';
import { constant, failing, never, setUp } from './edge-cache-harness';
import { deferred, entryOf, filledWith, until } from './fixtures';

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
