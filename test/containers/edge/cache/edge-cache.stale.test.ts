import type { Filled } from '../../../../containers/edge/cache/types';
import { constant, failing, KEPT_FOR_ERRORS, never, setUp } from './edge-cache-harness';
import { deferred, entryOf, filledWith, until } from './fixtures';

const REVALIDATED = { ttlMs: 1_000, staleWhileRevalidateMs: 2_000 };

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
