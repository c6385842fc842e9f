import { createEdgeCache } from '../../../../containers/edge/cache/edge-cache';
import { decodeEntry, encodeEntry } from '../../../../containers/edge/cache/entry-codec';
import { InvalidationIndex } from '../../../../containers/edge/cache/invalidation-index';
import { createMemoryStore } from '../../../../containers/edge/cache/memory-store';
import type { CacheEntry, CacheStore, Filled } from '../../../../containers/edge/cache/types';
import { entryOf } from './fixtures';

const never = async (): Promise<Filled> => {
  throw new Error('the origin must not be asked');
};

/** A tier whose entries are parts of the bytes that they were read with, as those of Redis and of the disk are. */
class EncodedStore implements CacheStore {
  readonly tier = 'l1';
  readonly lent: Buffer[] = [];
  readonly #held = new Map<string, Buffer>();

  get(key: string): CacheEntry | undefined {
    const held = this.#held.get(key);
    if (held === undefined) return undefined;
    const bytes = Buffer.from(held);
    this.lent.push(bytes);
    return decodeEntry(bytes);
  }
  set(entry: CacheEntry): void {
    this.#held.set(entry.key, encodeEntry(entry));
  }
  delete(key: string): void {
    this.#held.delete(key);
  }
  clear(): void {
    this.#held.clear();
  }
  async close(): Promise<void> {}
}

function setUp(memoryBytes: number) {
  const l1 = new EncodedStore();
  const index = new InvalidationIndex({ epoch: 'a', seq: 0 });
  const cache = createEdgeCache({ memory: createMemoryStore(memoryBytes), l1, index });
  const tierOf = async (key: string) => (await cache.getOrFill(key, never)).tier;
  return { l1, cache, tierOf };
}

describe('an entry of a lower tier', () => {
  it('is in memory from its first time on while there is room', async () => {
    const { l1, cache, tierOf } = setUp(1_000_000);
    l1.set(entryOf('k'));
    expect([await tierOf('k'), await tierOf('k')]).toEqual(['l1', 'memory']);
    await cache.close();
  });

  it('takes the place of another when it is asked for again, and not before', async () => {
    const { l1, cache, tierOf } = setUp(4_096);
    const body = Buffer.alloc(1_024);
    for (const key of ['a', 'b', 'c', 'd']) l1.set(entryOf(key, { body }));
    for (const key of ['a', 'b']) await tierOf(key);
    const once = [await tierOf('c'), await tierOf('d'), await tierOf('a'), await tierOf('b')];
    expect(once).toEqual(['l1', 'l1', 'memory', 'memory']);
    expect([await tierOf('c'), await tierOf('c')]).toEqual(['l1', 'memory']);
    await cache.close();
  });

  it('has bytes of its own in memory, not a part of all that was read with it', async () => {
    const { l1, cache } = setUp(1_000_000);
    l1.set(entryOf('k'));
    const first = await cache.getOrFill('k', never);
    for (const bytes of l1.lent) bytes.fill(0);
    expect(first.tier).toBe('l1');
    expect((await cache.getOrFill('k', never)).body.toString()).toBe('body of k');
    await cache.close();
  });
});
