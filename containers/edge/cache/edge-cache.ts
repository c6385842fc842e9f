import { Flight, type Landed, type TierTiming } from './flight';
import type { InvalidationIndex } from './invalidation-index';
import { CacheCounters } from './stats';
import type { BoundedStore, CacheAnswer, CacheEntry, CacheStore, EdgeCache, Filled, Position } from './types';

/** The tiers of an edge cache and what keeps them true. */
export interface EdgeCacheParts {
  readonly memory: BoundedStore;
  /** Shared with other tasks. */
  readonly l1?: CacheStore | undefined;
  readonly l2?: BoundedStore | undefined;
  readonly index: InvalidationIndex;
  /** Whether entries that outlive this process may be used: false until the control log has been caught up with. */
  readonly mayUseLasting?: () => boolean;
  /** Wall-clock time, ms since 1970; for freshness only. */
  readonly clock?: () => number;
}

/** Builds the edge cache over its tiers. Closing it closes them. */
export function createEdgeCache(parts: EdgeCacheParts): EdgeCache {
  return new TieredCache(parts);
}

class TieredCache implements EdgeCache {
  readonly #memory: BoundedStore;
  readonly #l1: CacheStore | undefined;
  readonly #l2: BoundedStore | undefined;
  readonly #index: InvalidationIndex;
  readonly #mayUseLasting: () => boolean;
  readonly #clock: () => number;
  readonly #flights = new Map<string, Flight>();
  readonly #writes = new Set<Promise<void>>();
  readonly #counters = new CacheCounters();

  constructor({ memory, l1, l2, index, mayUseLasting = () => true, clock = Date.now }: EdgeCacheParts) {
    this.#memory = memory;
    this.#l1 = l1;
    this.#l2 = l2;
    this.#index = index;
    this.#mayUseLasting = mayUseLasting;
    this.#clock = clock;
  }

  async getOrFill(key: string, fill: () => Promise<Filled>): Promise<CacheAnswer> {
    const asked = performance.now();
    const entry = await this.#fromMemory(key);
    const timings: TierTiming[] = [{ tier: 'memory', ms: performance.now() - asked }];
    if (entry) return this.#answer({ entry, tier: 'memory', stored: true }, timings, false);

    const joined = this.#joinable(key);
    if (joined) return this.#join(joined, timings);
    const flight = this.#start(key);
    await this.#fly([flight], async () => [await fill()]);
    return this.#answer(await flight.landing, [...timings, ...flight.timings], false);
  }

  async getOrFillMany(
    keys: readonly string[],
    fillMissing: (indexes: readonly number[]) => Promise<readonly Filled[]>,
  ): Promise<CacheAnswer[]> {
    const firstIndexes = new Map<string, number>();
    keys.forEach((key, index) => {
      if (!firstIndexes.has(key)) firstIndexes.set(key, index);
    });

    const answers = new Map<string, Promise<CacheAnswer>>();
    const own: Flight[] = [];
    for (const key of firstIndexes.keys()) {
      const asked = performance.now();
      const entry = await this.#fromMemory(key);
      const timings: TierTiming[] = [{ tier: 'memory', ms: performance.now() - asked }];
      const joined = entry ? undefined : this.#joinable(key);
      if (entry) {
        answers.set(key, Promise.resolve(this.#answer({ entry, tier: 'memory', stored: true }, timings, false)));
      } else if (joined) {
        answers.set(key, this.#join(joined, timings));
      } else {
        const flight = this.#start(key);
        own.push(flight);
        const landing = flight.landing.then((landed) => this.#answer(landed, [...timings, ...flight.timings], false));
        answers.set(key, landing);
      }
    }
    // Every promise is awaited below; one that rejects before its turn must not count as unhandled.
    for (const answer of answers.values()) answer.catch(() => undefined);

    await this.#fly(own, (missing) => fillMissing(missing.map((flight) => firstIndexes.get(flight.key) ?? 0)));
    const settled = new Map<string, CacheAnswer>();
    for (const [key, answer] of answers) settled.set(key, await answer);
    return keys.map((key) => {
      const answer = settled.get(key);
      if (!answer) throw new Error(`no answer for ${key}`);
      return answer;
    });
  }

  stats() {
    return this.#counters.snapshot(this.#memory.usage(), this.#l2?.usage());
  }

  async close(): Promise<void> {
    await Promise.allSettled([...this.#flights.values()].map((flight) => flight.landing));
    await Promise.all(this.#writes);
    await Promise.all([this.#memory.close(), this.#l1?.close(), this.#l2?.close()]);
  }

  async #fromMemory(key: string): Promise<CacheEntry | undefined> {
    const entry = await this.#lookUp(this.#memory, key);
    if (entry) this.#counters.hit('memory');
    return entry;
  }

  /** A tier's entry if it is fresh and valid now; a tier that fails holds nothing. */
  async #lookUp(store: CacheStore, key: string): Promise<CacheEntry | undefined> {
    try {
      const found = store.get(key);
      const entry = found instanceof Promise ? await found : found;
      if (!entry) return undefined;
      if (this.#clock() >= entry.storedAt + entry.ttlMs) return undefined;
      if (this.#index.isValid(entry)) return entry;
      this.#counters.invalidated();
      return undefined;
    } catch {
      this.#counters.tierError(store.tier);
      return undefined;
    }
  }

  #joinable(key: string): Flight | undefined {
    const flight = this.#flights.get(key);
    return flight?.isJoinableAt(this.#index.version()) ? flight : undefined;
  }

  async #join(flight: Flight, timings: readonly TierTiming[]): Promise<CacheAnswer> {
    const joined = performance.now();
    this.#counters.collapsed();
    const landed = await flight.landing;
    return this.#answer(landed, [...timings, { tier: landed.tier, ms: performance.now() - joined }], true);
  }

  /** A flight that replaces one which this request must not join; the other ends by itself. */
  #start(key: string): Flight {
    const flight = new Flight(key, () => {
      if (this.#flights.get(key) === flight) this.#flights.delete(key);
    });
    this.#flights.set(key, flight);
    return flight;
  }

  /** Settles every flight: from the lower tiers where they hold the key, the others by one fill. Never rejects. */
  async #fly(flights: readonly Flight[], fill: (missing: readonly Flight[]) => Promise<readonly Filled[]>) {
    await Promise.all(flights.map((flight) => this.#searchLowerTiers(flight)));
    const missing = flights.filter((flight) => !flight.settled);
    if (missing.length > 0) await this.#fill(missing, fill);
  }

  async #searchLowerTiers(flight: Flight): Promise<void> {
    for (const store of [this.#l1, this.#l2]) {
      if (!store || !this.#mayUseLasting()) continue;
      const asked = performance.now();
      const entry = await this.#lookUp(store, flight.key);
      flight.timings.push({ tier: store.tier, ms: performance.now() - asked });
      if (!entry) continue;
      this.#counters.hit(store.tier);
      this.#promote(entry, store);
      flight.land({ entry, tier: store.tier, stored: true });
      return;
    }
  }

  async #fill(missing: readonly Flight[], fill: (missing: readonly Flight[]) => Promise<readonly Filled[]>) {
    const asked = performance.now();
    // Before the origin is asked: an invalidation that comes while it answers stands past this stamp.
    const stamp = this.#index.position();
    for (const flight of missing) flight.beginFill(this.#index.version());
    this.#counters.missed(missing.length);
    try {
      const filled = await fill(missing);
      if (filled.length !== missing.length) {
        throw new Error(`a fill of ${missing.length} keys gave back ${filled.length} answers`);
      }
      const ms = performance.now() - asked;
      missing.forEach((flight, i) => {
        const answer = filled[i];
        if (!answer) throw new Error(`a fill gave nothing back for ${flight.key}`);
        flight.timings.push({ tier: 'origin', ms });
        flight.land(this.#store(flight.key, answer, stamp));
      });
    } catch (error) {
      this.#counters.fillFailed();
      for (const flight of missing) if (!flight.settled) flight.crash(error);
    }
  }

  /** Keeps a filled answer in every tier, unless it is not to be kept or has been invalidated while it was made. */
  #store(key: string, filled: Filled, stamp: Position): Landed {
    const { body, tags, ttlMs } = filled;
    const entry: CacheEntry = { key, body, tags, ttlMs, stamp, storedAt: this.#clock() };
    if (!(ttlMs > 0)) return { entry, tier: 'origin', stored: false };
    if (!this.#index.isValid(entry)) {
      this.#counters.invalidated();
      return { entry, tier: 'origin', stored: false };
    }
    this.#writeBehind(this.#memory, entry);
    if (this.#l1) this.#writeBehind(this.#l1, entry);
    if (this.#l2) this.#writeBehind(this.#l2, entry);
    return { entry, tier: 'origin', stored: true };
  }

  /**
   * Copies an entry to the other tiers with its stamp: into memory, and from one of the lasting tiers to the other, so
   * that the loss of either costs nothing. Another host's clock may be ahead; it must not lengthen the entry's life.
   */
  #promote(found: CacheEntry, from: CacheStore): void {
    const entry = { ...found, storedAt: Math.min(found.storedAt, this.#clock()) };
    this.#writeBehind(this.#memory, entry);
    for (const store of [this.#l1, this.#l2]) if (store && store !== from) this.#writeBehind(store, entry);
  }

  /** Writes without making the answer wait; `close` waits. */
  #writeBehind(store: CacheStore, entry: CacheEntry): void {
    try {
      const written = store.set(entry);
      if (!(written instanceof Promise)) return;
      const done: Promise<void> = written
        .catch(() => this.#counters.tierError(store.tier))
        .finally(() => this.#writes.delete(done));
      this.#writes.add(done);
    } catch {
      this.#counters.tierError(store.tier);
    }
  }

  #answer({ entry, tier, stored }: Landed, timings: readonly TierTiming[], collapsed: boolean): CacheAnswer {
    const ageMs = Math.max(0, this.#clock() - entry.storedAt);
    return {
      body: entry.body,
      tags: entry.tags,
      tier,
      collapsed,
      ageSeconds: Math.floor(ageMs / 1000),
      ttlSeconds: Math.max(0, Math.ceil((entry.ttlMs - ageMs) / 1000)),
      stored,
      timings,
    };
  }
}
