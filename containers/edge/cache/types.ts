/** Where an answer came from. `origin` is the model itself, S3 or the HTTP origin. */
export type Tier = 'memory' | 'l1' | 'l2' | 'origin';

/**
 * A place in the region's control log. Positions of one epoch are ordered by `seq`; positions of different epochs are
 * ordered only for a task that followed the log from the one into the other without a gap.
 */
export interface Position {
  readonly epoch: string;
  readonly seq: number;
}

/** A cached thing. Immutable: promotion between tiers copies it whole, stamp included. */
export interface CacheEntry {
  readonly key: string;
  readonly body: Buffer;
  readonly tags: readonly string[];
  /** Log position applied before the fill asked the origin; the entry is valid while no matching invalidation stands past it. */
  readonly stamp: Position;
  /** Wall-clock time of the fill, ms since 1970; for freshness only, never for invalidation. */
  readonly storedAt: number;
  /** Freshness lifetime, ms. */
  readonly ttlMs: number;
}

/** One tier's storage. A store that fails throws; the cache turns that into a miss and counts it. */
export interface CacheStore {
  readonly tier: Exclude<Tier, 'origin'>;
  get(key: string): Promise<CacheEntry | undefined> | CacheEntry | undefined;
  set(entry: CacheEntry): Promise<void> | void;
  delete(key: string): Promise<void> | void;
  /** Drops every entry. */
  clear(): Promise<void> | void;
  close(): Promise<void>;
}

/** What a bounded tier holds now, and what it has dropped so far. */
export interface StoreUsage {
  readonly bytes: number;
  readonly entries: number;
  readonly evictions: number;
  /** Entries dropped because their checksum did not hold. */
  readonly corrupt: number;
}

/** A tier within this process's own bounds: memory or disk. */
export interface BoundedStore extends CacheStore {
  usage(): StoreUsage;
}

/** What a fill gives back. With `ttlMs` 0 the answer is passed on and not stored. */
export interface Filled {
  readonly body: Buffer;
  readonly tags: readonly string[];
  readonly ttlMs: number;
}

/** An answer with its provenance. */
export interface CacheAnswer {
  readonly body: Buffer;
  readonly tags: readonly string[];
  readonly tier: Tier;
  /** True when this request joined a fill that another had begun. */
  readonly collapsed: boolean;
  /** Whole seconds since the fill; 0 for a fresh one. */
  readonly ageSeconds: number;
  /** Remaining freshness in whole seconds, rounded up: with `ageSeconds` it makes the whole lifetime. */
  readonly ttlSeconds: number;
  /** Whether the answer was, or already is, stored. */
  readonly stored: boolean;
  /** Time spent asking each tier in turn, ms. */
  readonly timings: readonly { readonly tier: Tier; readonly ms: number }[];
}

/** Counters of one process, monotonic unless said otherwise. */
export interface CacheStats {
  readonly hits: Readonly<Record<Exclude<Tier, 'origin'>, number>>;
  readonly misses: number;
  readonly fills: number;
  readonly fillErrors: number;
  readonly collapsed: number;
  readonly invalidated: number;
  readonly tierErrors: Readonly<Record<Exclude<Tier, 'origin'>, number>>;
  readonly evictions: Readonly<Record<'memory' | 'l2', number>>;
  /** Gauges: bytes held now. */
  readonly bytes: Readonly<Record<'memory' | 'l2', number>>;
  readonly entries: Readonly<Record<'memory' | 'l2', number>>;
  /** Entries of the disk tier dropped because their checksum did not hold. */
  readonly corrupt: number;
}

/** The edge cache: memory -> l1 -> l2 -> origin, with promotion and one fill per key. */
export interface EdgeCache {
  /** Answers from the nearest tier, or runs `fill` once for all concurrent callers. Rejects only when `fill` does. */
  getOrFill(key: string, fill: () => Promise<Filled>): Promise<CacheAnswer>;
  /**
   * As `getOrFill` for many keys, answers in the order of `keys`. Keys that no tier holds and no other request is
   * filling are filled by one call of `fillMissing` with their indexes (duplicates in `keys` are filled once).
   */
  getOrFillMany(
    keys: readonly string[],
    fillMissing: (indexes: readonly number[]) => Promise<readonly Filled[]>,
  ): Promise<CacheAnswer[]>;
  stats(): CacheStats;
  close(): Promise<void>;
}
