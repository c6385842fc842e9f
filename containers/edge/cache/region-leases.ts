import { setTimeout as sleep } from 'node:timers/promises';
import type { CacheCounters } from './stats';
import type { Tiers } from './tiers';
import type { CacheEntry, CacheStore, SharedStore } from './types';

/** How fills of one key in a region are kept to one. Durations in ms. */
export interface LeaseTiming {
  /** A holder that has not stored by then is taken for gone. */
  readonly ttlMs: number;
  /** First pause between looks at what the holder does; it doubles up to sixteen times as long. */
  readonly pollMs: number;
}

const DEFAULT_TIMING: LeaseTiming = { ttlMs: 3_000, pollMs: 5 };

/** The leases that this process holds in L1, and how it waits for those of others. */
export class RegionLeases {
  readonly #l1: SharedStore | undefined;
  readonly #tiers: Tiers;
  readonly #counters: CacheCounters;
  readonly #clock: () => number;
  readonly #timing: LeaseTiming;
  readonly #tokens = new Map<string, string>();
  readonly #closing = new AbortController();

  constructor(
    l1: CacheStore | SharedStore | undefined,
    tiers: Tiers,
    counters: CacheCounters,
    clock: () => number,
    timing: LeaseTiming = DEFAULT_TIMING,
  ) {
    this.#l1 = l1 && 'lease' in l1 ? l1 : undefined;
    this.#tiers = tiers;
    this.#counters = counters;
    this.#clock = clock;
    this.#timing = timing;
  }

  /**
   * Tries to take the lease: `wait` means that another task is filling the key, `fill` that this one may, whether it has
   * the lease or L1 gives none (a lease saves work, it is not needed to be right). An entry was filled by another just
   * before.
   */
  async begin(key: string): Promise<CacheEntry | 'wait' | 'fill'> {
    if (!(await this.#take(key))) return 'wait';
    // A holder stores first and lets go then, perhaps after this task had looked for the entry in vain.
    return (this.#tokens.has(key) && (await this.#filledByAnother(key))) || 'fill';
  }

  async #take(key: string): Promise<boolean> {
    if (!this.#l1 || !this.#tiers.mayUseLasting() || this.#tokens.has(key)) return true;
    try {
      const token = await this.#l1.lease(key, this.#timing.ttlMs);
      if (token === undefined) return false;
      this.#tokens.set(key, token);
      return true;
    } catch {
      this.#counters.tierError('l1');
      return true;
    }
  }

  /** Waits for the fresh and valid entry of the task that holds the lease; `undefined` when this one is to fill. */
  async wait(key: string): Promise<CacheEntry | undefined> {
    const { ttlMs, pollMs } = this.#timing;
    let pauseMs = pollMs;
    for (let waitedMs = 0; waitedMs < ttlMs; waitedMs += pauseMs, pauseMs = Math.min(2 * pauseMs, 16 * pollMs)) {
      await sleep(pauseMs, undefined, { signal: this.#closing.signal }).catch(() => undefined);
      if (!this.#l1 || this.#closing.signal.aborted) return undefined;
      const taken = await this.#take(key);
      const entry = await this.#filledByAnother(key);
      if (entry || taken) return entry;
    }
    return undefined;
  }

  /** The fresh entry that another task has put into L1; a lease that this one has taken is given back then. */
  async #filledByAnother(key: string): Promise<CacheEntry | undefined> {
    const entry = this.#l1 && (await this.#tiers.lookUp(this.#l1, key));
    if (!entry || this.#clock() >= entry.storedAt + entry.ttlMs) return undefined;
    this.release(key);
    return entry;
  }

  /** Writes to L1 under the lease of the entry's key, which is given back; `undefined` when there is none. */
  store(entry: CacheEntry): Promise<void> | undefined {
    const token = this.#tokens.get(entry.key);
    if (token === undefined || !this.#l1) return undefined;
    this.#tokens.delete(entry.key);
    return this.#l1.setUnderLease(entry, token);
  }

  /** Gives the lease back, if this process has it. */
  release(key: string): void {
    const token = this.#tokens.get(key);
    if (token === undefined || !this.#l1) return;
    this.#tokens.delete(key);
    this.#tiers.writeBehind('l1', this.#l1.release(key, token));
  }

  /** Ends every waiting and gives all leases back. */
  close(): void {
    this.#closing.abort();
    for (const key of [...this.#tokens.keys()]) this.release(key);
  }
}
