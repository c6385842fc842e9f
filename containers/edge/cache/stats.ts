import type { CacheStats, StaleReason, StoredTier, StoreUsage } from './types';

const UNUSED: StoreUsage = { bytes: 0, entries: 0, evictions: 0, corrupt: 0 };

/** Counters of one cache; what the tiers count themselves is added in `snapshot`. */
export class CacheCounters {
  readonly #hits: Record<Exclude<StoredTier, 'memory'>, number> = { l1: 0, l2: 0 };
  /** Apart from the others, because it is counted where every nanosecond is. */
  memoryHits = 0;
  readonly #staleServes: Record<StaleReason, number> = { revalidating: 0, error: 0 };
  readonly #tierErrors: Record<StoredTier, number> = { memory: 0, l1: 0, l2: 0 };
  #misses = 0;
  #fills = 0;
  #fillErrors = 0;
  #collapsed = 0;
  #invalidated = 0;

  hit(tier: StoredTier): void {
    if (tier === 'memory') this.memoryHits += 1;
    else this.#hits[tier] += 1;
  }

  /** An answer past its freshness was given. */
  servedStale(why: StaleReason): void {
    this.#staleServes[why] += 1;
  }

  /** The origin is asked once for `keys` keys that no tier held. */
  missed(keys: number): void {
    this.#misses += keys;
    this.#fills += 1;
  }

  fillFailed(): void {
    this.#fillErrors += 1;
  }

  collapsed(): void {
    this.#collapsed += 1;
  }

  invalidated(): void {
    this.#invalidated += 1;
  }

  tierError(tier: StoredTier): void {
    this.#tierErrors[tier] += 1;
  }

  snapshot(memory: StoreUsage, l2: StoreUsage = UNUSED, corruptInL1 = 0): CacheStats {
    return {
      hits: { ...this.#hits, memory: this.memoryHits },
      staleServes: { ...this.#staleServes },
      misses: this.#misses,
      fills: this.#fills,
      fillErrors: this.#fillErrors,
      collapsed: this.#collapsed,
      invalidated: this.#invalidated,
      tierErrors: { ...this.#tierErrors },
      evictions: { memory: memory.evictions, l2: l2.evictions },
      bytes: { memory: memory.bytes, l2: l2.bytes },
      entries: { memory: memory.entries, l2: l2.entries },
      corrupt: memory.corrupt + corruptInL1 + l2.corrupt,
    };
  }
}
