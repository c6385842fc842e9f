import type { StaleReason } from './stats';
import type { CacheEntry, FillDemand, Found, Position, Tier, Waiter } from './types';

/** What a flight brought back: an entry and where it was found. */
export interface Landed {
  readonly entry: CacheEntry;
  readonly tier: Tier;
  readonly stored: boolean;
  /** Why it is given past its freshness. */
  readonly stale?: StaleReason;
}

/** Time one tier took, ms. */
export interface TierTiming {
  readonly tier: Tier;
  readonly ms: number;
}

/** Where a fill stands among the invalidations. */
export interface FillPlace {
  readonly stamp: Position;
  readonly tagVersion: number;
}

/**
 * One search for a key below the memory tier, shared by every request that asks for the key meanwhile. Until the
 * origin is asked, any request may join: an entry of a lower tier is checked when it is found, after all of them have
 * arrived. Once the origin has been asked, only requests may that no invalidation separates from it.
 */
export class Flight implements FillDemand {
  readonly landing: Promise<Landed>;
  readonly timings: TierTiming[] = [];
  /** Where the origin was asked; `undefined` before it is. */
  filling: FillPlace | undefined;
  /** The newest valid entry that was found past its freshness. */
  stale: Found | undefined;
  #deadline = Number.NEGATIVE_INFINITY;
  /** Of those who wait; `undefined` once one of them cannot hang up. */
  #signals: AbortSignal[] | undefined = [];
  #settled = false;
  #land: (landed: Landed) => void = () => undefined;
  #crash: (reason: unknown) => void = () => undefined;
  readonly #onSettled: (flight: Flight) => void;

  /**
   * `onSettled` is called at once when the flight is over: what it found may be invalidated from then on. A `refreshing`
   * flight has somebody's stale answer behind it and looks for a fresh one only.
   */
  constructor(
    readonly key: string,
    readonly refreshing: boolean,
    onSettled: (flight: Flight) => void,
  ) {
    this.#onSettled = onSettled;
    this.landing = new Promise((resolve, reject) => {
      this.#land = resolve;
      this.#crash = reject;
    });
    if (!refreshing) return;
    // Whoever waits sees the rejection; a flight nobody waits for must not end the process.
    this.landing.catch(() => undefined);
    this.await(undefined);
  }

  get settled(): boolean {
    return this.#settled;
  }

  /** Takes in one who waits for it. */
  await(waiter: Waiter | undefined): void {
    this.#deadline = Math.max(this.#deadline, waiter?.deadline ?? Number.POSITIVE_INFINITY);
    if (waiter?.signal === undefined) this.#signals = undefined;
    else this.#signals?.push(waiter.signal);
  }

  get deadline(): number {
    return this.#deadline;
  }

  isWanted(): boolean {
    return this.#signals === undefined || this.#signals.some((signal) => !signal.aborted);
  }

  close(): void {
    this.#onSettled(this);
  }

  land(landed: Landed): void {
    this.#settled = true;
    this.#onSettled(this);
    this.#land(landed);
  }

  crash(reason: unknown): void {
    this.#settled = true;
    this.#onSettled(this);
    this.#crash(reason);
  }
}
