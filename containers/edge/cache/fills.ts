import type { Landed } from './answer';
import type { FillPlace, Flight } from './flight';
import type { InvalidationIndex } from './invalidation-index';
import type { RegionLeases } from './region-leases';
import type { CacheCounters } from './stats';
import type { Tiers } from './tiers';
import type { CacheEntry, FillDemand, Filled, FillOutcome, FillPolicy, Position } from './types';

/** Asks the origin for the key of one flight. */
export type FillOne = (demand: FillDemand) => Promise<Filled>;

/** Asks the origin for the keys of some flights, answers in their order. */
export type Fill = (missing: readonly Flight[]) => Promise<readonly FillOutcome[]>;

/** What fills are made with. */
export interface FillsParts {
  readonly tiers: Tiers;
  readonly leases: RegionLeases;
  readonly index: InvalidationIndex;
  readonly counters: CacheCounters;
  readonly clock: () => number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/** How what no tier holds comes from the origin, once per region where that is asked for, and is stored. */
export class Fills {
  readonly #tiers: Tiers;
  readonly #leases: RegionLeases;
  readonly #index: InvalidationIndex;
  readonly #counters: CacheCounters;
  readonly #clock: () => number;
  readonly #random: () => number;

  constructor({ tiers, leases, index, counters, clock, random }: FillsParts) {
    this.#tiers = tiers;
    this.#leases = leases;
    this.#index = index;
    this.#counters = counters;
    this.#clock = clock;
    this.#random = random;
  }

  /** Settles the flight. Never rejects. */
  async fillOne(flight: Flight, fill: FillOne, policy: FillPolicy): Promise<void> {
    if (policy.oncePerRegion) return this.fill([flight], forOne(fill), policy);
    const asked = performance.now();
    const filling = this.#placeNow();
    flight.filling = filling;
    this.#counters.missed(1);
    try {
      const filled = await fill(flight);
      flight.took('origin', performance.now() - asked);
      flight.land(this.store(flight.key, filled, filling.stamp, policy));
    } catch (error) {
      this.#counters.fillFailed();
      this.#landStale(flight, error);
    }
  }

  /** Settles every flight. Never rejects. */
  async fill(missing: readonly Flight[], fill: Fill, policy: FillPolicy): Promise<void> {
    if (!policy.oncePerRegion) return this.#fromOrigin(missing, fill, policy);
    const begun = await Promise.all(missing.map(({ key }) => this.#leases.begin(key)));
    const own = missing.filter((_, i) => begun[i] === 'fill');
    const others = missing.filter((_, i) => begun[i] === 'wait');
    missing.forEach((flight, i) => {
      const entry = begun[i];
      if (typeof entry === 'object') this.#landFromRegion(flight, entry, policy);
    });
    // Own fills do not wait for other tasks, which may be waiting for ours.
    await Promise.all([
      own.length > 0 ? this.#fromOrigin(own, fill, policy) : undefined,
      ...others.map((flight) => this.#awaitRegion(flight, fill, policy)),
    ]);
  }

  /**
   * Keeps what was filled after `stamp`, unless it is not to be kept or has been invalidated while it was made. Gives
   * the lease of the key back.
   */
  store(key: string, filled: Filled, stamp: Position, policy: FillPolicy): Landed {
    const { body, tags, staleWhileRevalidateMs = 0, staleIfErrorMs = 0 } = filled;
    const { ttlJitter = 0, maxBytes = Number.POSITIVE_INFINITY, tiers } = policy;
    const ttlMs = filled.ttlMs * (1 - ttlJitter * this.#random());
    const storedAt = this.#clock();
    const entry: CacheEntry = { key, body, tags, stamp, storedAt, ttlMs, staleWhileRevalidateMs, staleIfErrorMs };
    const isKept = ttlMs > 0 || staleWhileRevalidateMs > 0 || staleIfErrorMs > 0;
    const isValid = this.#index.isValid(entry);
    if (isKept && !isValid) this.#counters.invalidated();
    const stored = isKept && isValid && body.length <= maxBytes;
    if (stored) {
      const inL1 = !tiers || tiers.includes('l1');
      this.#tiers.store(entry, tiers, inL1 ? this.#leases.store(entry) : undefined);
    }
    this.#leases.release(key);
    return { entry, tier: 'origin', stored, stale: undefined };
  }

  async #awaitRegion(flight: Flight, fill: Fill, policy: FillPolicy): Promise<void> {
    const waiting = performance.now();
    const found = await this.#leases.wait(flight.key);
    flight.took('l1', performance.now() - waiting);
    if (found) this.#landFromRegion(flight, found, policy);
    else await this.#fromOrigin([flight], fill, policy);
  }

  #landFromRegion(flight: Flight, found: CacheEntry, { tiers }: FillPolicy): void {
    this.#counters.hit('l1');
    flight.land({ entry: this.#tiers.promote(found, 'l1', tiers), tier: 'l1', stored: true, stale: undefined });
  }

  async #fromOrigin(missing: readonly Flight[], fill: Fill, policy: FillPolicy): Promise<void> {
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
        flight.took('origin', ms);
        flight.land(this.store(flight.key, answer, filling.stamp, policy));
      });
    } catch (error) {
      this.#counters.fillFailed();
      for (const flight of missing) if (!flight.settled) this.#landStale(flight, error);
    }
  }

  /** Where a fill stands that begins now: an invalidation that comes while the origin answers stands past this. */
  #placeNow(): FillPlace {
    return { stamp: this.#index.position(), tagVersion: this.#index.tagVersion() };
  }

  /** The fill has failed: what was found before answers, if it may and no invalidation has hit it since. */
  #landStale(flight: Flight, error: unknown): void {
    this.#leases.release(flight.key);
    const { stale } = flight;
    const mayAnswer = stale && this.#clock() < stale.entry.storedAt + stale.entry.ttlMs + stale.entry.staleIfErrorMs;
    if (mayAnswer && this.#index.isValid(stale.entry)) flight.land({ ...stale, stored: true, stale: 'error' });
    else flight.crash(error);
  }
}

/** A fill of one key as one of many. */
export function forOne(fill: FillOne): Fill {
  return async ([flight]) => (flight === undefined ? [] : [await fill(flight)]);
}
