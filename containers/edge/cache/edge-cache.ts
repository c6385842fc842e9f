import { answerOf, FROM_MEMORY, freshMemoryAnswer } from './answer';
import { BanSweeper } from './ban-sweeper';
import { variantKey } from './base-key';
import { type FillPlace, Flight, type Landed, type TierTiming } from './flight';
import type { InvalidationIndex } from './invalidation-index';
import type { MemoryStore } from './memory-store';
import { type LeaseTiming, RegionLeases } from './region-leases';
import { CacheCounters } from './stats';
import { Tiers } from './tiers';
import type {
  BoundedStore,
  CacheAnswer,
  CacheEntry,
  CacheStore,
  EdgeCache,
  FillDemand,
  Filled,
  FillOutcome,
  FillPolicy,
  FillTicket,
  Found,
  Position,
  SharedStore,
  StoredTier,
  Waiter,
} from './types';

/** The tiers of an edge cache and what keeps them true. */
export interface EdgeCacheParts {
  readonly memory: MemoryStore;
  /** Shared with other tasks. */
  readonly l1?: CacheStore | SharedStore | undefined;
  readonly l2?: BoundedStore | undefined;
  readonly index: InvalidationIndex;
  /** Makes keys invalid here at once and elsewhere soon; by itself the index is told, and nobody else. */
  readonly invalidateKeys?: (keys: readonly string[]) => void;
  /** Whether entries that outlive this process may be used: false until the control log has been caught up with. */
  readonly mayUseLasting?: () => boolean;
  /** Wall-clock time, ms since 1970; for freshness only. */
  readonly clock?: () => number;
  /** Uniform in [0, 1); spreads expiry. */
  readonly random?: () => number;
  readonly leaseTiming?: LeaseTiming;
}

type FillOne = (demand: FillDemand) => Promise<Filled>;

type Fill = (missing: readonly Flight[]) => Promise<readonly FillOutcome[]>;

const EVERYTHING: FillPolicy = {};

/** Builds the edge cache over its tiers. Closing it closes them. */
export function createEdgeCache(parts: EdgeCacheParts): EdgeCache {
  return new TieredCache(parts);
}

class TieredCache implements EdgeCache {
  readonly #memory: MemoryStore;
  readonly #l2: BoundedStore | undefined;
  readonly #tiers: Tiers;
  readonly #leases: RegionLeases;
  readonly #index: InvalidationIndex;
  readonly #sweeper: BanSweeper;
  readonly #invalidateKeys: (keys: readonly string[]) => void;
  readonly #clock: () => number;
  readonly #random: () => number;
  readonly #flights = new Map<string, Flight>();
  readonly #counters = new CacheCounters();
  readonly #forget = (flight: Flight): void => {
    if (this.#flights.get(flight.key) === flight) this.#flights.delete(flight.key);
  };

  constructor(parts: EdgeCacheParts) {
    const { memory, l1, l2, index, mayUseLasting = () => true, clock = Date.now, random = Math.random } = parts;
    this.#memory = memory;
    this.#l2 = l2;
    this.#index = index;
    this.#clock = clock;
    this.#random = random;
    this.#invalidateKeys = parts.invalidateKeys ?? ((keys) => void index.mark(keys));
    this.#tiers = new Tiers({ memory, l1, l2, index, mayUseLasting, clock, counters: this.#counters });
    this.#leases = new RegionLeases(l1, this.#tiers, this.#counters, clock, parts.leaseTiming);
    this.#sweeper = new BanSweeper(memory, index, clock);
  }

  getOrFill(key: string, fill: FillOne, policy: FillPolicy = EVERYTHING, waiter?: Waiter): Promise<CacheAnswer> {
    const slot = this.#tiers.inMemory(key);
    if (slot !== undefined) {
      const now = this.#clock();
      if (now < slot.freshUntil) {
        this.#counters.memoryHits += 1;
        return Promise.resolve(freshMemoryAnswer(slot, now));
      }
      if (now < slot.freshUntil + slot.entry.staleWhileRevalidateMs) {
        const stale: Found = { entry: slot.entry, tier: 'memory' };
        this.#refresh([stale], forOne(fill), policy);
        this.#counters.memoryHits += 1;
        return Promise.resolve(this.#answer({ ...stale, stored: true, stale: 'revalidating' }, FROM_MEMORY, false));
      }
    }
    const joined = this.#joinable(key);
    if (joined) return this.#join(joined, waiter);
    const flight = this.#start(key, slot?.entry);
    flight.await(waiter);
    void (this.#isMemoryAll(flight, policy)
      ? this.#fillOne(flight, fill, policy)
      : this.#flyAlone(flight, fill, policy));
    return flight.landing.then((landed) => this.#answer(landed, flight.timings, false));
  }

  async getOrFillMany(
    keys: readonly string[],
    fillMissing: (indexes: readonly number[], demands: readonly FillDemand[]) => Promise<readonly FillOutcome[]>,
    policy: FillPolicy = EVERYTHING,
    waiter?: Waiter,
  ): Promise<CacheAnswer[]> {
    const firstIndexes = new Map<string, number>();
    keys.forEach((key, index) => {
      if (!firstIndexes.has(key)) firstIndexes.set(key, index);
    });
    const fill: Fill = (missing) =>
      fillMissing(
        missing.map(({ key }) => firstIndexes.get(key) ?? 0),
        missing,
      );

    const answers = new Map<string, CacheAnswer | Promise<CacheAnswer>>();
    const own: Flight[] = [];
    const stale: Found[] = [];
    const now = this.#clock();
    for (const key of firstIndexes.keys()) {
      const slot = this.#tiers.inMemory(key);
      if (slot && now < slot.freshUntil + slot.entry.staleWhileRevalidateMs) {
        const found: Found = { entry: slot.entry, tier: 'memory' };
        const isStale = now >= slot.freshUntil;
        if (isStale) stale.push(found);
        this.#counters.memoryHits += 1;
        const landed: Landed = { ...found, stored: true, ...(isStale ? { stale: 'revalidating' } : {}) };
        answers.set(key, this.#answer(landed, FROM_MEMORY, false));
        continue;
      }
      const joined = this.#joinable(key);
      if (joined) answers.set(key, this.#join(joined, waiter));
      else {
        const flight = this.#start(key, slot?.entry);
        flight.await(waiter);
        own.push(flight);
        answers.set(
          key,
          flight.landing.then((landed) => this.#answer(landed, flight.timings, false)),
        );
      }
    }
    if (stale.length > 0) this.#refresh(stale, fill, policy);
    void this.#fly(own, fill, policy);
    // All at once: one that rejects before its turn must not count as unhandled.
    const settled = await Promise.all(answers.values());
    const byKey = new Map([...answers.keys()].map((key, i) => [key, settled[i]]));
    return keys.map((key) => {
      const answer = byKey.get(key);
      if (!answer) throw new Error(`no answer for ${key}`);
      return answer;
    });
  }

  peek(key: string): CacheEntry | undefined {
    const slot = this.#tiers.inMemory(key);
    if (slot === undefined || this.#clock() >= slot.freshUntil) return undefined;
    this.#counters.memoryHits += 1;
    return slot.entry;
  }

  inMemory(key: string): CacheEntry | undefined {
    const slot = this.#tiers.inMemory(key);
    if (slot === undefined) return undefined;
    const { staleWhileRevalidateMs, staleIfErrorMs } = slot.entry;
    const retainedUntil = slot.freshUntil + Math.max(staleWhileRevalidateMs, staleIfErrorMs);
    return this.#clock() < retainedUntil ? slot.entry : undefined;
  }

  find(key: string, policy: FillPolicy = EVERYTHING): Found | undefined | Promise<Found | undefined> {
    const entry = this.inMemory(key);
    return entry ? { entry, tier: 'memory' } : this.#tiers.find(key, policy.tiers);
  }

  recordHit(tier: StoredTier, stale: boolean): void {
    this.#counters.hit(tier);
    if (stale) this.#counters.servedStale('revalidating');
  }

  recordMiss(): void {
    this.#counters.missed(1);
  }

  beginFill(key: string): FillTicket {
    const stamp = this.#index.position();
    const tagVersion = this.#index.tagVersion();
    return {
      isCurrent: () => this.#index.maySee(key, stamp, tagVersion),
      commit: (filled, policy = EVERYTHING, variant = undefined) => {
        const { stored } = this.#store(variant === undefined ? key : variantKey(key, variant), filled, stamp, policy);
        if (variant !== undefined) this.#leases.release(key);
        return stored;
      },
    };
  }

  async joinRegionalFill(key: string): Promise<Found | undefined> {
    const begun = await this.#leases.begin(key);
    if (begun === 'fill') return undefined;
    const entry = begun === 'wait' ? await this.#leases.wait(key) : begun;
    return entry && { entry: this.#tiers.promote(entry, 'l1', undefined), tier: 'l1' };
  }

  abandonRegionalFill(key: string): void {
    this.#leases.release(key);
  }

  invalidateKeys(keys: readonly string[]): void {
    this.#invalidateKeys(keys);
  }

  stats() {
    return this.#counters.snapshot(this.#memory.usage(), this.#l2?.usage());
  }

  async close(): Promise<void> {
    this.#sweeper.close();
    this.#leases.close();
    await Promise.allSettled([...this.#flights.values()].map((flight) => flight.landing));
    await this.#tiers.close();
  }

  #joinable(key: string): Flight | undefined {
    const flight = this.#flights.get(key);
    if (flight === undefined || flight.filling === undefined) return flight;
    return this.#index.maySee(key, flight.filling.stamp, flight.filling.tagVersion) ? flight : undefined;
  }

  async #join(flight: Flight, waiter: Waiter | undefined): Promise<CacheAnswer> {
    flight.await(waiter);
    const joined = performance.now();
    this.#counters.collapsed();
    const landed = await flight.landing;
    return this.#answer(landed, [...FROM_MEMORY, { tier: landed.tier, ms: performance.now() - joined }], true);
  }

  /** A flight that replaces one which this request must not join; the other ends by itself. */
  #start(key: string, stale: CacheEntry | undefined, refreshing = false): Flight {
    const flight = new Flight(key, refreshing, this.#forget);
    flight.timings.push(...FROM_MEMORY);
    if (stale) flight.stale = { entry: stale, tier: 'memory' };
    this.#flights.set(key, flight);
    return flight;
  }

  /** Replaces stale entries in the background, each once however many requests have met it. */
  #refresh(stale: readonly Found[], fill: Fill, policy: FillPolicy): void {
    const flights = stale
      .filter(({ entry }) => !this.#joinable(entry.key))
      .map(({ entry }) => this.#start(entry.key, entry, true));
    if (flights.length > 0) void this.#fly(flights, fill, policy);
  }

  /** Whether nothing but memory can be asked before the origin. */
  #isMemoryAll({ stale }: Flight, { tiers, oncePerRegion }: FillPolicy): boolean {
    return stale === undefined && oncePerRegion !== true && this.#tiers.lasting(tiers).length === 0;
  }

  /** As `#fly` for one flight, without the lists: most look-ups below memory end at the first tier. */
  async #flyAlone(flight: Flight, fill: FillOne, policy: FillPolicy): Promise<void> {
    await this.#searchLowerTiers(flight, policy);
    if (!flight.settled && policy.oncePerRegion !== true) return this.#fillOne(flight, fill, policy);
    if (!flight.settled) return this.#fillMissing([flight], forOne(fill), policy);
    if (flight.stale) this.#refresh([flight.stale], forOne(fill), policy);
  }

  /** Settles every flight: from the lower tiers where they hold the key, the others by a fill. Never rejects. */
  async #fly(flights: readonly Flight[], fill: Fill, policy: FillPolicy): Promise<void> {
    await Promise.all(flights.map((flight) => this.#searchLowerTiers(flight, policy)));
    const stale = flights.flatMap(({ settled, stale: found }) => (settled && found ? [found] : []));
    if (stale.length > 0) this.#refresh(stale, fill, policy);

    const missing = flights.filter(({ settled }) => !settled);
    if (missing.length > 0) await this.#fillMissing(missing, fill, policy);
  }

  async #fillMissing(missing: readonly Flight[], fill: Fill, policy: FillPolicy): Promise<void> {
    if (!policy.oncePerRegion) return this.#fill(missing, fill, policy);
    const begun = await Promise.all(missing.map(({ key }) => this.#leases.begin(key)));
    const own = missing.filter((_, i) => begun[i] === 'fill');
    const others = missing.filter((_, i) => begun[i] === 'wait');
    missing.forEach((flight, i) => {
      const entry = begun[i];
      if (typeof entry === 'object') this.#landFromRegion(flight, entry, policy);
    });
    // Own fills do not wait for other tasks, which may be waiting for ours.
    await Promise.all([
      own.length > 0 ? this.#fill(own, fill, policy) : undefined,
      ...others.map((flight) => this.#awaitRegion(flight, fill, policy)),
    ]);
  }

  async #searchLowerTiers(flight: Flight, { tiers }: FillPolicy): Promise<void> {
    for (const store of this.#tiers.lasting(tiers)) {
      const asked = performance.now();
      const found = await this.#tiers.lookUp(store, flight.key);
      flight.timings.push({ tier: store.tier, ms: performance.now() - asked });
      if (!found) continue;
      if (this.#clock() < found.storedAt + found.ttlMs) {
        this.#counters.hit(store.tier);
        flight.stale = undefined;
        const entry = this.#tiers.promote(found, store.tier, tiers);
        return flight.land({ entry, tier: store.tier, stored: true });
      }
      if (!flight.stale || flight.stale.entry.storedAt < found.storedAt) {
        flight.stale = { entry: found, tier: store.tier };
      }
    }
    const { stale, refreshing } = flight;
    if (!stale || refreshing || !this.#isStaleWithin(stale.entry, stale.entry.staleWhileRevalidateMs)) return;
    if (stale.tier !== 'memory') this.#tiers.promote(stale.entry, stale.tier, tiers);
    this.#counters.hit(stale.tier);
    flight.land({ ...stale, stored: true, stale: 'revalidating' });
  }

  async #awaitRegion(flight: Flight, fill: Fill, policy: FillPolicy): Promise<void> {
    const waiting = performance.now();
    const found = await this.#leases.wait(flight.key);
    flight.timings.push({ tier: 'l1', ms: performance.now() - waiting });
    if (found) this.#landFromRegion(flight, found, policy);
    else await this.#fill([flight], fill, policy);
  }

  #landFromRegion(flight: Flight, found: CacheEntry, { tiers }: FillPolicy): void {
    this.#counters.hit('l1');
    flight.land({ entry: this.#tiers.promote(found, 'l1', tiers), tier: 'l1', stored: true });
  }

  /** Where a fill stands that begins now: an invalidation that comes while the origin answers stands past this. */
  #placeNow(): FillPlace {
    return { stamp: this.#index.position(), tagVersion: this.#index.tagVersion() };
  }

  /** As `#fill` for one flight. */
  async #fillOne(flight: Flight, fill: FillOne, policy: FillPolicy): Promise<void> {
    const asked = performance.now();
    const filling = this.#placeNow();
    flight.filling = filling;
    this.#counters.missed(1);
    try {
      const filled = await fill(flight);
      flight.timings.push({ tier: 'origin', ms: performance.now() - asked });
      flight.land(this.#store(flight.key, filled, filling.stamp, policy));
    } catch (error) {
      this.#counters.fillFailed();
      this.#landStale(flight, error);
    }
  }

  async #fill(missing: readonly Flight[], fill: Fill, policy: FillPolicy): Promise<void> {
    const asked = performance.now();
    const filling = this.#placeNow();
    for (const flight of missing) flight.filling = filling;
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
        if ('error' in answer) {
          this.#counters.fillFailed();
          this.#landStale(flight, answer.error);
          return;
        }
        flight.timings.push({ tier: 'origin', ms });
        flight.land(this.#store(flight.key, answer, filling.stamp, policy));
      });
    } catch (error) {
      this.#counters.fillFailed();
      for (const flight of missing) if (!flight.settled) this.#landStale(flight, error);
    }
  }

  /** The fill has failed: what was found before answers, if it may and no invalidation has hit it since. */
  #landStale(flight: Flight, error: unknown): void {
    this.#leases.release(flight.key);
    const { stale } = flight;
    const isUsable = stale && this.#isStaleWithin(stale.entry, stale.entry.staleIfErrorMs);
    if (isUsable && this.#index.isValid(stale.entry)) flight.land({ ...stale, stored: true, stale: 'error' });
    else flight.crash(error);
  }

  #isStaleWithin({ storedAt, ttlMs }: CacheEntry, windowMs: number): boolean {
    return this.#clock() < storedAt + ttlMs + windowMs;
  }

  /** Keeps a filled answer, unless it is not to be kept or has been invalidated while it was made. */
  #store(key: string, filled: Filled, stamp: Position, policy: FillPolicy): Landed {
    const { body, tags, staleWhileRevalidateMs = 0, staleIfErrorMs = 0 } = filled;
    const { ttlJitter = 0, maxBytes = Number.POSITIVE_INFINITY, tiers } = policy;
    const ttlMs = filled.ttlMs * (1 - ttlJitter * this.#random());
    const storedAt = this.#clock();
    const entry: CacheEntry = { key, body, tags, stamp, storedAt, ttlMs, staleWhileRevalidateMs, staleIfErrorMs };
    const isKept = ttlMs > 0 || staleWhileRevalidateMs > 0 || staleIfErrorMs > 0;
    const isValid = this.#index.isValid(entry);
    if (isKept && !isValid) this.#counters.invalidated();
    if (!isKept || !isValid || body.length > maxBytes) {
      this.#leases.release(key);
      return { entry, tier: 'origin', stored: false };
    }
    const inL1 = !tiers || tiers.includes('l1');
    this.#tiers.store(entry, tiers, inL1 ? this.#leases.store(entry) : undefined);
    this.#leases.release(key);
    return { entry, tier: 'origin', stored: true };
  }

  #answer(landed: Landed, timings: readonly TierTiming[], collapsed: boolean): CacheAnswer {
    if (landed.stale) this.#counters.servedStale(landed.stale);
    return answerOf(landed, timings, collapsed, this.#clock());
  }
}

function forOne(fill: FillOne): Fill {
  return async ([flight]) => (flight === undefined ? [] : [await fill(flight)]);
}
