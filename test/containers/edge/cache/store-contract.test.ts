import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { DiskStore } from '../../../../containers/edge/cache/disk-store';
import { createL1Store } from '../../../../containers/edge/cache/l1-store';
import { createMemoryStore } from '../../../../containers/edge/cache/memory-store';
import type { CacheStore } from '../../../../containers/edge/cache/types';
import { startRedis } from '../../../support/redis';
import { collectingLog, entryOf, until } from './fixtures';

interface Opened {
  readonly store: CacheStore;
  close(): Promise<void>;
}

const openers: Record<CacheStore['tier'], () => Promise<Opened>> = {
  memory: async () => {
    const store = createMemoryStore(8 * 1024 * 1024);
    return { store, close: () => store.close() };
  },
  l1: async () => {
    const redis = await startRedis();
    const store = createL1Store(redis.url, collectingLog(), { deadlineMs: 10_000 });
    await until(async () => {
      await store.set(entryOf('connected'));
      return (await store.get('connected')) !== undefined;
    });
    const close = async () => {
      await store.close();
      await redis.stop();
    };
    return { store, close };
  },
  l2: async () => {
    const directory = await mkdtemp(join(tmpdir(), 'mlcdn-disk-'));
    const store = await DiskStore.open(directory, 8 * 1024 * 1024, collectingLog());
    const close = async () => {
      await store.close();
      await rm(directory, { recursive: true });
    };
    return { store, close };
  },
};

describe.each(['memory', 'l1', 'l2'] as const)('a store of tier %s', (tier) => {
  let opened: Opened;
  let store: CacheStore;
  beforeAll(async () => {
    opened = await openers[tier]();
    store = opened.store;
  });
  afterAll(() => opened.close());

  it('names its tier', () => {
    expect(store.tier).toBe(tier);
  });

  it('does not hold what was never set', async () => {
    expect(await store.get('nobody set this')).toBeUndefined();
  });

  it('gives back the whole entry, whatever its bytes', async () => {
    const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(
        text,
        fc.uint8Array({ maxLength: 2_000 }),
        fc.array(text, { maxLength: 4 }),
        fc.record({ epoch: text, seq: fc.nat() }),
        fc.record({ staleWhileRevalidateMs: fc.nat(), staleIfErrorMs: fc.nat() }),
        async (key, bytes, tags, stamp, staleWindows) => {
          const entry = entryOf(key, { body: Buffer.from(bytes), tags, stamp, ...staleWindows });
          await store.set(entry);
          expect(await store.get(key)).toEqual(entry);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('gives back a large entry as it was', async () => {
    const entry = entryOf('large', { body: Buffer.alloc(900_000, 'abcdefg'), tags: ['t'.repeat(10_000)] });
    await store.set(entry);
    const found = await store.get('large');
    expect(found?.body.equals(entry.body)).toBe(true);
    expect(found?.tags).toEqual(entry.tags);
  });

  it('keeps an entry that is past its freshness for as long as it may answer stale', async () => {
    const entry = entryOf('stale', { storedAt: Date.now() - 60_000, ttlMs: 1, staleIfErrorMs: 3_600_000 });
    await store.set(entry);
    expect(await store.get('stale')).toEqual(entry);
  });

  it('holds the newer of two entries with one key', async () => {
    await store.set(entryOf('twice', { body: Buffer.from('old'), storedAt: Date.now() - 10 }));
    await store.set(entryOf('twice', { body: Buffer.from('new') }));
    expect((await store.get('twice'))?.body.toString()).toBe('new');
  });

  it('forgets one key, and does not mind forgetting it again', async () => {
    await store.set(entryOf('gone'));
    await store.set(entryOf('stays'));
    await store.delete('gone');
    await store.delete('gone');
    expect(await store.get('gone')).toBeUndefined();
    expect(await store.get('stays')).toBeDefined();
    await store.set(entryOf('gone'));
    expect(await store.get('gone')).toBeDefined();
  });

  it('answers a read made before a write has finished with that write or with nothing', async () => {
    const written = store.set(entryOf('in flight'));
    const read = await store.get('in flight');
    await written;
    expect([undefined, 'in flight']).toContain(read?.key);
    expect((await store.get('in flight'))?.key).toBe('in flight');
  });

  it('forgets everything, and works on', async () => {
    for (let i = 0; i < 50; i++) await store.set(entryOf(`many ${i}`));
    await store.clear();
    for (let i = 0; i < 50; i++) expect(await store.get(`many ${i}`)).toBeUndefined();
    await store.set(entryOf('after'));
    expect(await store.get('after')).toBeDefined();
  });
});
