import { createEdgeCache } from '../../../../containers/edge/cache/edge-cache';
import { InvalidationIndex } from '../../../../containers/edge/cache/invalidation-index';
import { createMemoryStore } from '../../../../containers/edge/cache/memory-store';
import type { CacheEntry, CacheStore, Found } from '../../../../containers/edge/cache/types';
import { deferred, filledWith } from './fixtures';

const SECOND = 1_000;
const FRESH_FOR_A_SECOND = { ttlMs: SECOND, staleWhileRevalidateMs: 10 * SECOND };

/** An L1 that answers when the test says so. */
class SlowL1 implements CacheStore {
  readonly tier = 'l1';
  readonly held = new Map<string, CacheEntry>();
  reads = 0;
  isAway = false;
  answering: Promise<void> = Promise.resolve();

  async get(key: string): Promise<CacheEntry | undefined> {
    this.reads += 1;
    await this.answering;
    if (this.isAway) throw new Error('L1 is away');
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
  goAway(): void {
    this.isAway = true;
  }
}

const open: ReturnType<typeof createEdgeCache>[] = [];
afterEach(async () => {
  for (const cache of open.splice(0)) await cache.close();
});

function twoTasks() {
  const time = { now: 1_000_000 };
  const l1 = new SlowL1();
  const index = new InvalidationIndex({ epoch: 'a', seq: 0 });
  const task = () => {
    const cache = createEdgeCache({ memory: createMemoryStore(1_000_000), l1, index, clock: () => time.now });
    open.push(cache);
    return cache;
  };
  return { time, l1, index, one: task(), other: task() };
}

const seen = (found: Found | undefined) => found && `${found.entry.body} from ${found.tier}`;
const store = (cache: ReturnType<typeof createEdgeCache>, body: string, fields: object = FRESH_FOR_A_SECOND) =>
  cache.beginFill('k').commit(filledWith(body, fields));

describe('find, when memory holds the entry past its freshness', () => {
  it('takes what another task has refreshed since, and keeps it', async () => {
    const { one, other, time, l1 } = twoTasks();
    store(one, 'old');
    time.now += 2 * SECOND;
    store(other, 'new');
    expect(seen(await one.find('k'))).toBe('new from l1');
    expect(l1.reads).toBe(1);
    expect(one.peek('k')?.body.toString()).toBe('new');
  });

  it('takes what is newer, though stale as well', async () => {
    const { one, other, time } = twoTasks();
    store(one, 'old');
    time.now += 2 * SECOND;
    store(other, 'newer');
    time.now += 2 * SECOND;
    expect(seen(await one.find('k'))).toBe('newer from l1');
  });

  it.each([
    ['holds the same', () => undefined],
    ['holds nothing', (l1: SlowL1) => l1.clear()],
    ['fails', (l1: SlowL1) => l1.goAway()],
  ])('is content with that when L1 %s', async (_what, prepare) => {
    const { one, time, l1 } = twoTasks();
    store(one, 'old');
    time.now += 2 * SECOND;
    prepare(l1);
    expect(seen(await one.find('k'))).toBe('old from memory');
    expect(one.stats().tierErrors.l1).toBe(l1.isAway ? 1 : 0);
  });

  it('looks once for all who ask meanwhile, and again later', async () => {
    const { one, time, l1 } = twoTasks();
    store(one, 'old');
    time.now += 2 * SECOND;
    const go = deferred<void>();
    l1.answering = go.promise;
    const asked = [one.find('k'), one.find('k'), one.find('k')];
    go.resolve();
    expect((await Promise.all(asked)).map(seen)).toEqual(new Array(3).fill('old from memory'));
    expect(l1.reads).toBe(1);
    await one.find('k');
    expect(l1.reads).toBe(2);
  });

  it('gives nothing that was invalidated while L1 was being asked', async () => {
    const { one, time, l1, index } = twoTasks();
    store(one, 'old');
    time.now += 2 * SECOND;
    const go = deferred<void>();
    l1.answering = go.promise;
    const found = one.find('k');
    index.invalidate({ keys: ['k'], tags: [], prefixes: [], patterns: [] }, { epoch: 'a', seq: 1 });
    go.resolve();
    expect(await found).toBeUndefined();
  });

  it('does not ask L1 for what has never been fresh, nor where the policy keeps L1 out', async () => {
    const { one, time, l1 } = twoTasks();
    store(one, 'always to be revalidated', { ttlMs: 0, staleIfErrorMs: 10 * SECOND });
    expect(one.find('k')).toMatchObject({ tier: 'memory' });
    store(one, 'old');
    time.now += 2 * SECOND;
    expect(one.find('k', { tiers: ['memory'] })).toMatchObject({ tier: 'memory' });
    expect(l1.reads).toBe(0);
  });
});
