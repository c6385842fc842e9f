import { createEdgeCache } from '../../../../containers/edge/cache/edge-cache';
import { InvalidationIndex } from '../../../../containers/edge/cache/invalidation-index';
import { createMemoryStore } from '../../../../containers/edge/cache/memory-store';
import type {
  AnswerReceiver,
  CacheAnswer,
  CacheEntry,
  EntryReader,
  Filled,
} from '../../../../containers/edge/cache/types';
import { deferred, entryOf, filledWith } from './fixtures';

/** An L1 that calls back, when the test says so. */
function callingL1(held: Map<string, CacheEntry>) {
  const waiting: { readonly key: string; readonly reader: EntryReader }[] = [];
  return {
    tier: 'l1' as const,
    get: () => {
      throw new Error('read is to be used');
    },
    read: (key: string, reader: EntryReader) => void waiting.push({ key, reader }),
    set: (entry: CacheEntry) => void held.set(entry.key, entry),
    delete: (key: string) => void held.delete(key),
    clear: () => held.clear(),
    close: async () => undefined,
    answer: () => {
      for (const { key, reader } of waiting.splice(0)) reader.found(held.get(key));
    },
    fail: () => {
      for (const { reader } of waiting.splice(0)) reader.failed(new Error('away'));
    },
  };
}

function setUp() {
  const held = new Map<string, CacheEntry>();
  const l1 = callingL1(held);
  const memory = createMemoryStore(1_000_000);
  const cache = createEdgeCache({ memory, l1, index: new InvalidationIndex({ epoch: 'a', seq: 0 }) });
  return { held, l1, memory, cache };
}

function collecting() {
  const said: string[] = [];
  const receiver: AnswerReceiver = {
    answered: ({ body, tier, collapsed }: CacheAnswer) =>
      void said.push(`${body} ${tier}${collapsed ? ' joined' : ''}`),
    failed: (reason) => void said.push(String(reason)),
  };
  return { said, receiver };
}

const never = async (): Promise<Filled> => {
  throw new Error('the origin must not be asked');
};

describe('answers by a receiver', () => {
  it('come before the call returns when memory holds them', () => {
    const { cache, memory } = setUp();
    memory.set(entryOf('k'));
    const { said, receiver } = collecting();
    cache.deliver('k', receiver, never);
    expect(said).toEqual(['body of k memory']);
    expect(cache.stats().hits.memory).toBe(1);
  });

  it('come in the moment in which the store has the entry, to everybody who has joined', () => {
    const { cache, held, l1 } = setUp();
    held.set('k', entryOf('k'));
    const { said, receiver } = collecting();
    cache.deliver('k', receiver, never);
    cache.deliver('k', receiver, never);
    expect(said).toEqual([]);
    l1.answer();
    expect(said).toEqual(['body of k l1', 'body of k l1 joined']);
    expect(cache.stats()).toMatchObject({ hits: { l1: 1 }, collapsed: 1 });
  });

  it('are shared with promises, in both directions', async () => {
    const { cache, held, l1 } = setUp();
    held.set('k', entryOf('k'));
    held.set('l', entryOf('l'));
    const { said, receiver } = collecting();
    const asked = cache.getOrFill('k', never);
    cache.deliver('k', receiver, never);
    cache.deliver('l', receiver, never);
    const joined = cache.getOrFill('l', never);
    l1.answer();
    expect(said).toEqual(['body of k l1 joined', 'body of l l1']);
    expect([(await asked).collapsed, (await joined).collapsed]).toEqual([false, true]);
  });

  it('come from the origin when L1 fails, and are failures when that does', async () => {
    const { cache, l1 } = setUp();
    const origin = deferred<Filled>();
    const { said, receiver } = collecting();
    cache.deliver('k', receiver, () => origin.promise);
    cache.deliver('l', receiver, () => Promise.reject(new Error('the origin is down')));
    l1.fail();
    origin.resolve(filledWith('filled'));
    await cache.close();
    expect(said.sort()).toEqual(['Error: the origin is down', 'filled origin']);
    expect(cache.stats()).toMatchObject({ tierErrors: { l1: 2 }, misses: 2, fillErrors: 1 });
  });
});
