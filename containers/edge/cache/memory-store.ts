import type { BoundedStore, CacheEntry, StoreUsage } from './types';

interface Slot {
  readonly entry: CacheEntry;
  readonly bytes: number;
  visited: boolean;
  newer: Slot | undefined;
  older: Slot | undefined;
}

/** What a slot, its Map entry and the entry's small objects take on a 64-bit V8, roughly. */
const OVERHEAD_BYTES = 320;

/**
 * Tier `memory`: bounded in bytes, evicting by SIEVE. A hit only sets a bit; eviction moves a hand from the oldest
 * entry towards the newest, sparing visited ones once. Zhang et al., "SIEVE is Simpler than LRU", NSDI 2024.
 */
export function createMemoryStore(maxBytes: number): BoundedStore {
  const slots = new Map<string, Slot>();
  let newest: Slot | undefined;
  let oldest: Slot | undefined;
  let hand: Slot | undefined;
  let bytes = 0;
  let evictions = 0;

  const remove = (slot: Slot): void => {
    slots.delete(slot.entry.key);
    bytes -= slot.bytes;
    if (hand === slot) hand = slot.newer;
    if (slot.newer) slot.newer.older = slot.older;
    else newest = slot.older;
    if (slot.older) slot.older.newer = slot.newer;
    else oldest = slot.newer;
  };

  const evictOne = (): void => {
    let candidate = hand ?? oldest;
    while (candidate?.visited) {
      candidate.visited = false;
      candidate = candidate.newer ?? oldest;
    }
    if (!candidate) return;
    hand = candidate;
    remove(candidate);
    evictions += 1;
  };

  return {
    tier: 'memory',

    get(key) {
      const slot = slots.get(key);
      if (!slot) return undefined;
      slot.visited = true;
      return slot.entry;
    },

    set(entry) {
      const replaced = slots.get(entry.key);
      if (replaced) remove(replaced);
      const size = sizeInMemory(entry);
      if (size > maxBytes) return;
      while (bytes + size > maxBytes) evictOne();

      // A replaced entry keeps its standing: being refilled says nothing against its popularity.
      const slot: Slot = { entry, bytes: size, visited: replaced?.visited ?? false, newer: undefined, older: newest };
      if (newest) newest.newer = slot;
      else oldest = slot;
      newest = slot;
      slots.set(entry.key, slot);
      bytes += size;
    },

    delete(key) {
      const slot = slots.get(key);
      if (slot) remove(slot);
    },

    clear() {
      slots.clear();
      newest = oldest = hand = undefined;
      bytes = 0;
    },

    async close() {
      this.clear();
    },

    usage(): StoreUsage {
      return { bytes, entries: slots.size, evictions, corrupt: 0 };
    },
  };
}

/** Bytes an entry is charged for: its body, two per character of its strings at worst, and bookkeeping. */
function sizeInMemory(entry: CacheEntry): number {
  const characters = entry.tags.reduce((sum, tag) => sum + tag.length, entry.key.length);
  return entry.body.length + 2 * characters + OVERHEAD_BYTES;
}
