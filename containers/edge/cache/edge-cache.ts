import { Answers, FROM_MEMORY, freshMemoryAnswer } from './answer';
import { BanSweeper } from './ban-sweeper';
import { variantKey } from './base-key';
import { type Fill, type FillOne, Fills, forOne } from './fills';
import { Finds } from './finds';
import { Flights, type LookUp } from './flights';
import { GatheredAnswers } from './gathered-answers';
import type { InvalidationIndex } from './invalidation-index';
import type { MemorySlot, MemoryStore } from './memory-store';
import { type LeaseTiming, RegionLeases } from './region-leases';
import { CacheCounters } from './stats';
import { Tiers } from './tiers';
import {
  type AnswerReceiver,
  type BoundedStore,
  type CacheAnswer,
  type CacheEntry,
  type CacheStore,
  type EdgeCache,
  type FillDemand,
  type FillOutcome,
  type FillPolicy,
  type FillTicket,
  type Found,
  retainedUntil,
  type SharedStore,
  type StaleReason,
  type StoredTier,
  type Waiter,
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

const EVERYTHING: FillPolicy = {};

/** Builds the edge cache over its tiers. Closing it closes them. */
export function createEdgeCache(parts: EdgeCacheParts): EdgeCache {
  return new TieredCache(parts);
}

class TieredCache implements EdgeCache {
  readonly #memory: MemoryStore;
  readonly #l1: CacheStore | SharedStore | undefined;
  readonly #l2: BoundedStore | undefined;
  readonly #tiers: Tiers;
  readonly #leases: RegionLeases;
  readonly #index: InvalidationIndex;
  readonly #sweeper: BanSweeper;
  readonly #invalidateKeys: (keys: readonly string[]) => void;
  readonly #clock: () => number;
  readonly #counters = new CacheCounters();
  readonly #answers: Answers;
  readonly #fills: Fills;
  readonly #flights: Flights;
  readonly #finds: Finds;

  constructor(parts: EdgeCacheParts) {
    const { memory, l1, l2, index, mayUseLasting = () => true, clock = Date.now, random = Math.random } = parts;
    const counters = this.#counters;
    const tiers = new Tiers({ memory, l1, l2, index, mayUseLasting, clock, counters });
    this.#memory = memory;
    this.#l1 = l1;
    this.#l2 = l2;
    this.#index = index;
    this.#clock = clock;
    this.#invalidateKeys = parts.invalidateKeys ?? ((keys) => void index.mark(keys));
    this.#tiers = tiers;
    this.#leases = new RegionLeases(l1, tiers, counters, clock, parts.leaseTiming);
    this.#answers = new Answers(counters, clock);
    this.#fills = new Fills({ tiers, leases: this.#leases, index, counters, clock, random });
    this.#flights = new Flights({ tiers, counters, answers: this.#answers, clock }, this.#fills, index);
    this.#finds = new Finds(tiers);
    this.#sweeper = new BanSweeper(memory, index, clock);
  }

  getOrFill(key: string, fill: FillOne, policy: FillPolicy = EVERYTHING, waiter?: Waiter): Promise<CacheAnswer> {
    const slot = this.#tiers.inMemory(key);
    const answer = slot && this.#fromMemory(slot, fill, policy);
    // The rest apart, for its closures would cost every answer from memory something too.
    return answer ? Promise.resolve(answer) : this.#promised(key, slot, fill, policy, waiter);
  }

  deliver(
    key: string,
    receiver: AnswerReceiver,
    fill: FillOne,
    policy: FillPolicy = EVERYTHING,
    waiter?: Waiter,
  ): void {
    const slot = this.#tiers.inMemory(key);
    const answer = slot && this.#fromMemory(slot, fill, policy);
    if (answer) receiver.answered(answer);
    else this.#flights.lookUp({ key, stale: staleIn(slot), receiver, waiter }, fill, policy);
  }

  async getOrFillMany(
    keys: readonly string[],
    fillMissing: (indexes: readonly number[], demands: readonly FillDemand[]) => Promise<readonly FillOutcome[]>,
    policy: FillPolicy = EVERYTHING,
    waiter?: Waiter,
  ): Promise<CacheAnswer[]> {
    // Of distinct keys: their places in the order of the look-ups, and where each stands first in `keys`.
    const places = new Map<string, number>();
    const firstIndexes: number[] = [];
    for (const [index, key] of keys.entries()) {
      if (places.has(key)) continue;
      places.set(key, firstIndexes.length);
      firstIndexes.push(index);
    }
    const placeOf = (key: string): number => places.get(key) ?? 0;
    const fill: Fill = (missing) =>
      fillMissing(
        missing.map(({ key }) => firstIndexes[placeOf(key)] ?? 0),
        missing,
      );

    const answers = new GatheredAnswers(places.size);
    const lookUps: LookUp[] = [];
    const stale: Found[] = [];
    const now = this.#clock();
    for (const [key, place] of places) {
      const slot = this.#tiers.inMemory(key);
      if (slot && now < slot.freshUntil) {
        this.#counters.memoryHits += 1;
        answers.put(place, freshMemoryAnswer(slot, now));
      } else if (slot && mayRevalidate(slot, now)) {
        stale.push({ entry: slot.entry, tier: 'memory' });
        answers.put(place, this.#staleAnswer(slot.entry));
      } else {
        lookUps.push({ key, stale: staleIn(slot), receiver: answers.receiver(place), waiter });
      }
    }
    if (stale.length > 0) this.#flights.refresh(stale, fill, policy);
    this.#flights.lookUpMany(lookUps, fill, policy);
    const found = await answers.all();
    return keys.map((key, index) => found[found.length === keys.length ? index : placeOf(key)] as CacheAnswer);
  }

  peek(key: string): CacheEntry | undefined {
    const slot = this.#tiers.inMemory(key);
    if (slot === undefined || this.#clock() >= slot.freshUntil) return undefined;
    this.#counters.memoryHits += 1;
    return slot.entry;
  }

  inMemory(key: string): CacheEntry | undefined {
    const entry = this.#tiers.inMemory(key)?.entry;
    return entry !== undefined && this.#clock() < retainedUntil(entry) ? entry : undefined;
  }

  find(key: string, policy: FillPolicy = EVERYTHING): Found | undefined | Promise<Found | undefined> {
    const entry = this.inMemory(key);
    return entry === undefined ? this.#finds.nearest(key, policy.tiers) : this.#freshOrNewer(entry, policy);
  }

  seek(key: string, onFound: (found: Found | undefined) => void): void {
    const entry = this.inMemory(key);
    if (entry === undefined) {
      this.#finds.seek(key, undefined, onFound);
      return;
    }
    const found = this.#freshOrNewer(entry, EVERYTHING);
    if (found instanceof Promise) void found.then(onFound);
    else onFound(found);
  }

  recordHit(tier: StoredTier, stale?: StaleReason): void {
    this.#counters.hit(tier);
    if (stale !== undefined) this.#counters.servedStale(stale);
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
        const storedUnder = variant === undefined ? key : variantKey(key, variant);
        const { stored } = this.#fills.store(storedUnder, filled, stamp, policy);
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
    const l1 = this.#l1;
    const corruptInL1 = l1 !== undefined && 'corrupt' in l1 ? l1.corrupt?.() : 0;
    return this.#counters.snapshot(this.#memory.usage(), this.#l2?.usage(), corruptInL1);
  }

  async close(): Promise<void> {
    this.#sweeper.close();
    this.#leases.close();
    await this.#flights.landed();
    await this.#tiers.close();
  }

  /** What the memory tier can answer at once, if anything. */
  #fromMemory(slot: MemorySlot, fill: FillOne, policy: FillPolicy): CacheAnswer | undefined {
    const now = this.#clock();
    if (now < slot.freshUntil) {
      this.#counters.memoryHits += 1;
      return freshMemoryAnswer(slot, now);
    }
    if (!mayRevalidate(slot, now)) return undefined;
    const { entry } = slot;
    this.#flights.refresh([{ entry, tier: 'memory' }], forOne(fill), policy);
    return this.#staleAnswer(entry);
  }

  /** What memory holds, or in place of a stale entry what L1 may have. */
  #freshOrNewer(entry: CacheEntry, { tiers }: FillPolicy): Found | Promise<Found | undefined> {
    const isFresh = this.#clock() < entry.storedAt + entry.ttlMs;
    return isFresh ? { entry, tier: 'memory' } : this.#finds.newerThan(entry, tiers);
  }

  #staleAnswer(entry: CacheEntry): CacheAnswer {
    this.#counters.memoryHits += 1;
    return this.#answers.of({ entry, tier: 'memory', stored: true, stale: 'revalidating' }, FROM_MEMORY, false);
  }

  #promised(
    key: string,
    slot: MemorySlot | undefined,
    fill: FillOne,
    policy: FillPolicy,
    waiter: Waiter | undefined,
  ): Promise<CacheAnswer> {
    return new Promise((answered, failed) =>
      this.#flights.lookUp({ key, stale: staleIn(slot), receiver: { answered, failed }, waiter }, fill, policy),
    );
  }
}

/** A slot that is not fresh any more may still answer at once, while its entry is being refreshed. */
function mayRevalidate({ entry, freshUntil }: MemorySlot, now: number): boolean {
  return now < freshUntil + entry.staleWhileRevalidateMs;
}

function staleIn(slot: MemorySlot | undefined): Found | undefined {
  return slot && { entry: slot.entry, tier: 'memory' };
}
