import { throwApart } from './throw-apart';
import { TierSearch } from './tier-search';
import type { TierChoice, Tiers } from './tiers';
import { TransientMap } from './transient-map';
import type { CacheEntry, Found, StoredTier } from './types';

type OnOver = (found: Found | undefined) => void;

/** Looks for callers that judge freshness themselves: any valid entry will do, fresh or stale. */
export class Finds {
  readonly #tiers: Tiers;
  /** Every request of a stale entry's key looks for a newer one until it is replaced: those at one time look together. */
  readonly #newer = new TransientMap<Promise<Found | undefined>>();

  constructor(tiers: Tiers) {
    this.#tiers = tiers;
  }

  /** The nearest lasting tier's entry, promoted. */
  nearest(key: string, choice: TierChoice): Promise<Found | undefined> {
    return new Promise((resolve) => this.seek(key, choice, resolve));
  }

  /** As `nearest`, calling back once. */
  seek(key: string, choice: TierChoice, onOver: OnOver): void {
    new Find(key, this.#tiers, choice, onOver).search(this.#tiers.lasting(choice));
  }

  /**
   * What memory holds past its freshness, or a newer entry that another task has stored in L1, promoted. At once when
   * L1 cannot help; the disk cannot, for nobody but this process writes there.
   */
  newerThan(stale: CacheEntry, choice: TierChoice): Found | Promise<Found | undefined> {
    const l1 = this.#tiers.lasting(choice).filter(({ tier }) => tier === 'l1');
    // What is never fresh is no fresher elsewhere.
    if (stale.ttlMs === 0 || l1.length === 0) return { entry: stale, tier: 'memory' };
    const { key } = stale;
    const underWay = this.#newer.get(key);
    if (underWay !== undefined) return underWay;
    let isOver = false;
    const look = new Promise<Found | undefined>((resolve) => {
      const onOver: OnOver = (found) => {
        isOver = true;
        this.#newer.delete(key);
        resolve(found ?? this.#inMemory(key));
      };
      new Find(key, this.#tiers, choice, onOver, stale.storedAt).search(l1);
    });
    if (!isOver) this.#newer.set(key, look);
    return look;
  }

  /** Looked up again: an invalidation may have hit it while L1 was being asked. */
  #inMemory(key: string): Found | undefined {
    const slot = this.#tiers.inMemory(key);
    return slot && { entry: slot.entry, tier: 'memory' };
  }
}

class Find extends TierSearch {
  readonly #choice: TierChoice;
  readonly #onOver: OnOver;
  readonly #storedAfter: number;

  constructor(
    key: string,
    tiers: Tiers,
    choice: TierChoice,
    onOver: OnOver,
    storedAfter: number = Number.NEGATIVE_INFINITY,
  ) {
    super(key, tiers);
    this.#choice = choice;
    this.#onOver = onOver;
    this.#storedAfter = storedAfter;
  }

  protected override takes(entry: CacheEntry | undefined, tier: StoredTier): boolean {
    if (entry === undefined || entry.storedAt <= this.#storedAfter) return false;
    this.#end({ entry: this.tiers.promote(entry, tier, this.#choice), tier });
    return true;
  }

  protected override notTaken(): void {
    this.#end(undefined);
  }

  #end(found: Found | undefined): void {
    try {
      this.#onOver(found);
    } catch (error) {
      throwApart(error);
    }
  }
}
