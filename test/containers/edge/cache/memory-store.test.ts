import fc from 'fast-check';
import { createMemoryStore } from '../../../../containers/edge/cache/memory-store';
import { entryOf } from './fixtures';

const KIB = Buffer.alloc(1024);
const get = (store: ReturnType<typeof createMemoryStore>, key: string) => store.get(key) !== undefined;

describe('the memory store', () => {
  it('never holds more bytes than its bound, nor refuses what fits', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(30), fc.nat(3_000), fc.boolean()), { minLength: 1, maxLength: 200 }),
        (operations) => {
          const store = createMemoryStore(16 * 1024);
          for (const [name, size, remove] of operations) {
            const key = `k${name}`;
            if (remove) store.delete(key);
            else store.set(entryOf(key, { body: Buffer.alloc(size) }));
            expect(get(store, key)).toBe(!remove);
            expect(store.usage().bytes).toBeLessThanOrEqual(16 * 1024);
          }
          for (let name = 0; name <= 30; name++) store.delete(`k${name}`);
          expect(store.usage()).toMatchObject({ bytes: 0, entries: 0 });
        },
      ),
    );
  });

  it('keeps what is asked for through a scan of entries asked for once', () => {
    const store = createMemoryStore(64 * 1024);
    for (let i = 0; i < 10; i++) store.set(entryOf(`hot ${i}`, { body: KIB }));
    for (let i = 0; i < 500; i++) {
      for (let hot = 0; hot < 10; hot++) store.get(`hot ${hot}`);
      store.set(entryOf(`once ${i}`, { body: KIB }));
    }
    const kept = Array.from({ length: 10 }, (_, i) => get(store, `hot ${i}`));
    expect(kept).toEqual(Array(10).fill(true));
    expect(store.usage().evictions).toBeGreaterThan(400);
  });

  it('evicts in the order of SIEVE: the hand spares a visited entry once and moves on from where it stopped', () => {
    const one = createMemoryStore(1);
    one.set(entryOf('a', { body: KIB }));
    expect(one.usage().entries).toBe(0);

    const single = createMemoryStore(1_000_000);
    single.set(entryOf('a', { body: KIB }));
    const store = createMemoryStore(single.usage().bytes * 3);
    for (const key of ['a', 'b', 'c']) store.set(entryOf(key, { body: KIB }));
    store.get('a');
    store.set(entryOf('d', { body: KIB }));
    expect(['a', 'b', 'c', 'd'].filter((key) => get(store, key))).toEqual(['a', 'c', 'd']);
    store.set(entryOf('e', { body: KIB }));
    expect(get(store, 'e')).toBe(true);
    expect(store.usage().entries).toBe(3);
  });

  it('wants any copy while there is room, and then what it was offered before or holds an older one of', () => {
    const store = createMemoryStore(8 * 1024);
    const copyInto = (key: string): boolean => {
      const entry = entryOf(key, { body: KIB });
      const isWanted = store.wants(entry);
      if (isWanted) store.set(entry);
      return isWanted;
    };
    const whileThereIsRoom = Array.from({ length: 5 }, (_, i) => copyInto(`k${i}`));
    expect(whileThereIsRoom).toEqual(Array(5).fill(true));
    expect(copyInto('too many')).toBe(false);
    expect(copyInto('k4')).toBe(true);
    expect(copyInto('too many')).toBe(true);
    expect(get(store, 'too many')).toBe(true);
    expect(store.usage().evictions).toBe(1);
  });
});
