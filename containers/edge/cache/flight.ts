import type { CacheEntry, Tier } from './types';

/** What a flight brought back: an entry and where it was found. */
export interface Landed {
  readonly entry: CacheEntry;
  readonly tier: Tier;
  readonly stored: boolean;
}

/** Time one tier took, ms. */
export interface TierTiming {
  readonly tier: Tier;
  readonly ms: number;
}

/**
 * One search for a key below the memory tier, shared by every request that asks for the key meanwhile. Until the
 * origin is asked, any request may join: an entry of a lower tier is checked when it is found, after all of them have
 * arrived. Once the origin has been asked, only requests that saw the same invalidations may.
 */
export class Flight {
  readonly landing: Promise<Landed>;
  readonly timings: TierTiming[] = [];
  #settled = false;
  #fillingAtVersion: number | undefined;
  #land: (landed: Landed) => void = () => undefined;
  #crash: (reason: unknown) => void = () => undefined;

  readonly #onSettled: () => void;

  /** `onSettled` is called at once when the flight is over: what it found may be invalidated from then on. */
  constructor(
    readonly key: string,
    onSettled: () => void,
  ) {
    this.#onSettled = onSettled;
    this.landing = new Promise((resolve, reject) => {
      this.#land = resolve;
      this.#crash = reject;
    });
    // Whoever waits sees the rejection; a flight nobody waits for must not end the process.
    this.landing.catch(() => undefined);
  }

  get settled(): boolean {
    return this.#settled;
  }

  /** Whether a request that arrives at this version of the invalidation index may share the result. */
  isJoinableAt(indexVersion: number): boolean {
    return this.#fillingAtVersion === undefined || this.#fillingAtVersion === indexVersion;
  }

  /** The origin is asked now, with the index at this version. */
  beginFill(indexVersion: number): void {
    this.#fillingAtVersion = indexVersion;
  }

  land(landed: Landed): void {
    this.#settled = true;
    this.#onSettled();
    this.#land(landed);
  }

  crash(reason: unknown): void {
    this.#settled = true;
    this.#onSettled();
    this.#crash(reason);
  }
}
