import type { Tiers } from './tiers';
import type { CacheEntry, CacheStore, EntryReader, Found } from './types';

const NOWHERE: readonly CacheStore[] = [];

/**
 * A look for one key through the lasting tiers, one after the other: itself what the stores call back, because a
 * promise for each of them costs more than what they do.
 */
export abstract class TierSearch implements EntryReader {
  readonly key: string;
  protected readonly tiers: Tiers;
  #stores: readonly CacheStore[] = NOWHERE;
  #at = 0;

  constructor(key: string, tiers: Tiers) {
    this.key = key;
    this.tiers = tiers;
  }

  /** Looks into `stores` in their order, until one is taken. To be called once. */
  search(stores: readonly CacheStore[]): void {
    this.#stores = stores;
    this.#askNext();
  }

  /** A tier is about to be asked. */
  protected asks(): void {}
  /** A tier has answered: with a valid entry, fresh or stale, or with nothing. True ends the search. */
  protected abstract takes(found: CacheEntry | undefined, tier: Found['tier']): boolean;
  protected abstract notTaken(): void;

  found(entry: CacheEntry | undefined): void {
    const store = this.#stores[this.#at];
    if (store === undefined) return;
    const valid = entry === undefined ? undefined : this.tiers.judge(entry);
    if (this.takes(valid, store.tier)) {
      this.#stores = NOWHERE;
      return;
    }
    this.#at += 1;
    this.#askNext();
  }

  failed(): void {
    const store = this.#stores[this.#at];
    if (store !== undefined) this.tiers.noteFailure(store.tier);
    this.found(undefined);
  }

  #askNext(): void {
    const store = this.#stores[this.#at];
    if (store === undefined) {
      this.notTaken();
      return;
    }
    this.asks();
    this.tiers.read(store, this.key, this);
  }
}
