/** Where an answer came from. `origin` is the model itself, S3 or the HTTP origin. */
export type Tier = 'memory' | 'l1' | 'l2' | 'origin';

/** A tier that holds entries. */
export type StoredTier = Exclude<Tier, 'origin'>;

/**
 * A place in the region's control log. Positions of one epoch are ordered by `seq`; positions of different epochs are
 * ordered only for a task that followed the log from the one into the other without a gap.
 */
export interface Position {
  readonly epoch: string;
  readonly seq: number;
  /** Invalidations of this process's own that are still on their way into the log; counts within this process only. */
  readonly local?: number;
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
  /** How long past its freshness the entry may answer at once while one fill refreshes it, ms. RFC 5861. */
  readonly staleWhileRevalidateMs: number;
  /** How long past its freshness the entry is kept, to be revalidated or to answer when a fill fails, ms. RFC 5861. */
  readonly staleIfErrorMs: number;
}

/** When a tier may let go of an entry, wall-clock ms since 1970: fresh or stale, it answers nobody any more. */
export function retainedUntil(
  entry: Pick<CacheEntry, 'storedAt' | 'ttlMs' | 'staleWhileRevalidateMs' | 'staleIfErrorMs'>,
): number {
  return entry.storedAt + entry.ttlMs + Math.max(entry.staleWhileRevalidateMs, entry.staleIfErrorMs);
}

/** Gets what a store holds under a key: one of its methods is called once. Neither throws. */
export interface EntryReader {
  found(entry: CacheEntry | undefined): void;
  failed(error: unknown): void;
}

/** One tier's storage. A store that fails throws; the cache turns that into a miss and counts it. */
export interface CacheStore {
  readonly tier: StoredTier;
  get(key: string): Promise<CacheEntry | undefined> | CacheEntry | undefined;
  /** As `get`, at once or later, without a promise for every entry: for a store that many requests wait for. */
  read?(key: string, reader: EntryReader): void;
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

/**
 * The store that a region's tasks share. A lease says that its holder is filling a key, so that the others wait
 * (Nishtala et al., "Scaling Memcache at Facebook", NSDI 2013).
 */
export interface SharedStore extends CacheStore {
  /** Takes the lease of `key` for `ttlMs`: a token, or `undefined` when somebody else is filling it. Throws as `get`. */
  lease(key: string, ttlMs: number): Promise<string | undefined>;
  /**
   * As `set`, under a lease: stores nothing when the lease was lost meanwhile and another fill has stored since
   * (stale-set guard); gives the lease back either way.
   */
  setUnderLease(entry: CacheEntry, token: string): Promise<void>;
  /** Gives the lease back without storing anything. */
  release(key: string, token: string): Promise<void>;
  /** Entries taken for misses so far because their checksum did not hold. */
  corrupt?(): number;
}

/** What a fill gives back. With no freshness and nothing to keep past it, the answer is passed on and not stored. */
export interface Filled {
  readonly body: Buffer;
  readonly tags: readonly string[];
  readonly ttlMs: number;
  readonly staleWhileRevalidateMs?: number;
  readonly staleIfErrorMs?: number;
}

/** Where and how the fills of one model or route are kept. */
export interface FillPolicy {
  /** Tiers that may hold the entry; all of them by default. */
  readonly tiers?: readonly StoredTier[];
  /** Answers with a larger body are passed on and not stored. No bound of its own by default. */
  readonly maxBytes?: number;
  /** Share of the lifetime, 0 to 1, by which it is shortened at random, so that entries filled together expire apart. */
  readonly ttlJitter?: number;
  /** One fill per key and region instead of one per key and process, by a lease in L1. */
  readonly oncePerRegion?: boolean;
}

/** Somebody who waits for an answer. */
export interface Waiter {
  /** Moment on `performance.now()`'s clock, ms, after which the answer is not wanted. */
  readonly deadline?: number;
  /** Tells whether the one who waits has gone: an `AbortSignal`, or what costs less to make. */
  readonly signal?: Pick<AbortSignal, 'aborted'>;
}

/**
 * Who waits for a fill. Several requests share one fill, so it is not ended when one of them hangs up; before it begins
 * its work it may ask whether anybody is left, and give up by `close` where nobody is. A fill that has begun is
 * finished and stored: whoever asks next has it. A refresh behind a stale answer is wanted by all who come later.
 */
export interface FillDemand {
  /** The latest deadline of those who wait; infinite where one of them has none. */
  readonly deadline: number;
  /** Whether anybody still waits. */
  isWanted(): boolean;
  /** The fill has been given up and will reject: who asks from now on does not join it. */
  close(): void;
}

/** What became of one key of a fill of many. */
export type FillOutcome = Filled | { readonly error: unknown };

/** An entry that no invalidation has hit, fresh or stale, and the tier that held it. */
export interface Found {
  readonly entry: CacheEntry;
  readonly tier: StoredTier;
}

/** The right to store the answer of an origin that is about to be asked. */
export interface FillTicket {
  /** False once an invalidation has been applied since the ticket was taken: requests from then on need their own fill. */
  isCurrent(): boolean;
  /**
   * Stores the answer in the tiers, unless an invalidation has hit it since; tells whether it did. With `variant` it is
   * stored as that variant of the key, `key + '\n' + variant`, which every invalidation of the key reaches.
   */
  commit(filled: Filled, policy?: FillPolicy, variant?: string): boolean;
}

/** Why an answer was given past its freshness: a fill was under way, or had failed. */
export type StaleReason = 'revalidating' | 'error';

/** An answer with its provenance. */
export interface CacheAnswer {
  readonly body: Buffer;
  readonly tags: readonly string[];
  readonly tier: Tier;
  /** True when this request joined a fill that another had begun. */
  readonly collapsed: boolean;
  /** Whole seconds since the fill; 0 for a fresh one. */
  readonly ageSeconds: number;
  /**
   * Remaining freshness in whole seconds, rounded up: with `ageSeconds` it makes the whole lifetime. Of a stale answer
   * negative: for how long it has not been fresh any more, rounded up.
   */
  readonly ttlSeconds: number;
  /** True when the answer is past its freshness: it is being refreshed, or could not be. */
  readonly stale: boolean;
  /** Whether the answer was, or already is, stored. */
  readonly stored: boolean;
  /** True where no cache was asked, because the answers of its kind are not kept. */
  readonly bypassed?: boolean;
  /** Time spent asking each tier in turn, ms. */
  readonly timings: readonly { readonly tier: Tier; readonly ms: number }[];
}

/** Gets an answer: one of its methods is called once. */
export interface AnswerReceiver {
  answered(answer: CacheAnswer): void;
  failed(reason: unknown): void;
}

/** Counters of one process, monotonic unless said otherwise. */
export interface CacheStats {
  readonly hits: Readonly<Record<StoredTier, number>>;
  readonly misses: number;
  readonly fills: number;
  readonly fillErrors: number;
  readonly collapsed: number;
  /** Answers given past their freshness, by why. */
  readonly staleServes: Readonly<Record<StaleReason, number>>;
  readonly invalidated: number;
  readonly tierErrors: Readonly<Record<StoredTier, number>>;
  readonly evictions: Readonly<Record<'memory' | 'l2', number>>;
  /** Gauges: bytes held now. */
  readonly bytes: Readonly<Record<'memory' | 'l2', number>>;
  readonly entries: Readonly<Record<'memory' | 'l2', number>>;
  /** Entries of L1 and the disk tier that were misses because their checksum did not hold. */
  readonly corrupt: number;
}

/** The edge cache: memory -> l1 -> l2 -> origin, with promotion and one fill per key. */
export interface EdgeCache {
  /**
   * Answers from the nearest tier, or runs `fill` once for all concurrent callers. Rejects only when `fill` does.
   * `waiter` is the caller; without one the fill is always wanted.
   */
  getOrFill(
    key: string,
    fill: (demand: FillDemand) => Promise<Filled>,
    policy?: FillPolicy,
    waiter?: Waiter,
  ): Promise<CacheAnswer>;
  /**
   * As `getOrFill`, without a promise: `receiver` is called before this returns when the memory tier holds the entry,
   * else later, in the midst of other answers, so that it should be quick.
   */
  deliver(
    key: string,
    receiver: AnswerReceiver,
    fill: (demand: FillDemand) => Promise<Filled>,
    policy?: FillPolicy,
    waiter?: Waiter,
  ): void;
  /**
   * As `getOrFill` for many keys, answers in the order of `keys`. Keys that no tier holds and no other request is
   * filling are filled by one call of `fillMissing` with their indexes (duplicates in `keys` are filled once). It
   * rejects where none could be filled; a key that could not be while others were has an error for its outcome.
   */
  getOrFillMany(
    keys: readonly string[],
    fillMissing: (indexes: readonly number[], demands: readonly FillDemand[]) => Promise<readonly FillOutcome[]>,
    policy?: FillPolicy,
    waiter?: Waiter,
  ): Promise<CacheAnswer[]>;
  /** The fresh and valid entry of the memory tier, at once; counted as a hit when there is one, as nothing when not. */
  peek(key: string): CacheEntry | undefined;
  /** The memory tier's valid entry, fresh or stale, at once; counted as nothing. */
  inMemory(key: string): CacheEntry | undefined;
  /**
   * The nearest tier's valid entry, fresh or stale, for callers that judge freshness themselves. Promotes it. Answers at
   * once when the memory tier holds it fresh; in place of a stale one L1 may hold what another task has refreshed.
   * Counts no hit: `recordHit` and `recordMiss` do, once the caller has judged.
   */
  find(key: string, policy?: FillPolicy): Found | undefined | Promise<Found | undefined>;
  /** As `find` over all tiers, for who needs no promise: calls back once, at once or later. */
  seek(key: string, onFound: (found: Found | undefined) => void): void;
  /** The caller answers with what it found in `tier`; `stale` says why when that is past its freshness. */
  recordHit(tier: StoredTier, stale?: StaleReason): void;
  recordMiss(): void;
  /** To be taken before the origin is asked; callers of `find` store through it. */
  beginFill(key: string): FillTicket;
  /**
   * Waits while another task of the region fills `key`: its entry, or `undefined` when this task is to fill it (it then
   * holds the lease, which `commit` or `abandonRegionalFill` gives back) or there is no L1.
   */
  joinRegionalFill(key: string): Promise<Found | undefined>;
  abandonRegionalFill(key: string): void;
  /**
   * Makes these keys, and every variant of them, invalid in this process at once and in the region as soon as L1 has
   * taken the message. For what the service itself learns, such as an unsafe method that succeeded (RFC 9111, 4.4).
   */
  invalidateKeys(keys: readonly string[]): void;
  stats(): CacheStats;
  close(): Promise<void>;
}
