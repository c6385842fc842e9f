import type { Filled } from '../../../../containers/edge/cache/types';
import { constant, KEPT_FOR_ERRORS, setUp } from './edge-cache-harness';
import { deferred, filledWith } from './fixtures';

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
