import { keptBytes } from '../kept-bytes';
import type { InvalidationIndex } from './invalidation-index';
import type { MemorySlot, MemoryStore } from './memory-store';
import type { CacheCounters } from './stats';
import {
  type BoundedStore,
  type CacheEntry,
  type CacheStore,
  type EntryReader,
  retainedUntil,
  type SharedStore,
  type StoredTier,
} from './types';

/** Tiers an entry may be in; `undefined` stands for all. */
export type TierChoice = readonly StoredTier[] | undefined;

/** What the tiers are made of. */
export interface TiersParts {
  readonly memory: MemoryStore;
  readonly l1: CacheStore | SharedStore | undefined;
  readonly l2: BoundedStore | undefined;
  readonly index: InvalidationIndex;
  readonly mayUseLasting: () => boolean;
  readonly clock: () => number;
  readonly counters: CacheCounters;
}

/** The stores of one cache: looks entries up with their validity, copies them from one to the other. */
export class Tiers {
  readonly #memory: MemoryStore;
  readonly #lasting: readonly CacheStore[];
  readonly #index: InvalidationIndex;
  readonly #mayUseLasting: () => boolean;
  readonly #clock: () => number;
  readonly #counters: CacheCounters;
  readonly #writes = new Set<Promise<void>>();

  constructor({ memory, l1, l2, index, mayUseLasting, clock, counters }: TiersParts) {
    this.#memory = memory;
    this.#lasting = [l1, l2].filter((store) => store !== undefined);
    this.#index = index;
    this.#mayUseLasting = mayUseLasting;
    this.#clock = clock;
    this.#counters = counters;
  }

  /** Whether entries that outlive this process can be judged now. */
  mayUseLasting(): boolean {
    return this.#mayUseLasting();
  }

  /** The valid entry that memory holds, fresh or not. */
  inMemory(key: string): MemorySlot | undefined {
    const slot = this.#memory.slot(key);
    if (slot === undefined) return undefined;
    const version = this.#index.version();
    if (slot.validAtVersion === version) return slot;
    if (!this.#index.isValid(slot.entry)) {
      this.#counters.invalidated();
      this.#memory.delete(key);
      return undefined;
    }
    slot.validAtVersion = version;
    return slot;
  }

  /** The tiers below memory, nearest first, that may hold an entry and can be used now. */
  lasting(tiers: TierChoice): readonly CacheStore[] {
    if (!this.#mayUseLasting()) return [];
    return tiers ? this.#lasting.filter(({ tier }) => tiers.includes(tier)) : this.#lasting;
  }

  /** Tells `reader` what a lasting tier holds, once, at once or later; what it holds is still to be judged. */
  read(store: CacheStore, key: string, reader: EntryReader): void {
    if (store.read !== undefined) {
      store.read(key, reader);
      return;
    }
    let held: ReturnType<CacheStore['get']>;
    try {
      held = store.get(key);
    } catch (error) {
      reader.failed(error);
      return;
    }
    if (held instanceof Promise) {
      held.then(
        (entry) => reader.found(entry),
        (error: unknown) => reader.failed(error),
      );
    } else reader.found(held);
  }

  /** The entry, if it is valid now and still kept. */
  judge(entry: CacheEntry): CacheEntry | undefined {
    if (this.#clock() >= retainedUntil(entry)) return undefined;
    if (this.#index.isValid(entry)) return entry;
    this.#counters.invalidated();
    return undefined;
  }

  /** A tier has failed: it counts as one that holds nothing. */
  noteFailure(tier: StoredTier): void {
    this.#counters.tierError(tier);
  }

  /** A lasting tier's entry that is valid now and still kept; a tier that fails holds nothing. */
  async lookUp(store: CacheStore, key: string): Promise<CacheEntry | undefined> {
    try {
      const entry = await store.get(key);
      return entry && this.judge(entry);
    } catch {
      this.noteFailure(store.tier);
      return undefined;
    }
  }

  /**
   * Copies a valid entry to the other tiers with its stamp: into memory if it is worth it there, and while it is fresh
   * from one of the lasting tiers to the other, so that the loss of either costs nothing. Another host's clock may be
   * ahead; it must not lengthen the entry's life.
   */
  promote(found: CacheEntry, from: StoredTier, tiers: TierChoice): CacheEntry {
    const now = this.#clock();
    const entry = found.storedAt > now ? { ...found, storedAt: now } : found;
    this.#index.noteRetention(retainedUntil(entry) - entry.storedAt);
    const mayBeInMemory = !tiers || tiers.includes('memory');
    // A copy of the body, which so far is a part of the larger piece that it was read with.
    if (mayBeInMemory && this.#memory.wants(entry)) this.#write(this.#memory, { ...entry, body: copyOf(entry.body) });
    if (now < entry.storedAt + entry.ttlMs) {
      for (const store of this.#lasting) {
        if (store.tier !== from && (!tiers || tiers.includes(store.tier))) this.#write(store, entry);
      }
    }
    return entry;
  }

  /** Keeps a filled, valid entry; `underLease` writes to L1 where it does so itself. */
  store(entry: CacheEntry, tiers: TierChoice, underLease?: Promise<void>): void {
    this.#index.noteRetention(retainedUntil(entry) - entry.storedAt);
    if (!tiers || tiers.includes('memory')) this.#write(this.#memory, entry);
    for (const store of this.#lasting) {
      if (tiers && !tiers.includes(store.tier)) continue;
      if (store.tier === 'l1' && underLease) this.writeBehind('l1', underLease);
      else this.#write(store, entry);
    }
  }

  /** Follows a write that no answer waits for; `close` waits. */
  writeBehind(tier: StoredTier, written: Promise<void>): void {
    const done: Promise<void> = written
      .catch(() => this.#counters.tierError(tier))
      .finally(() => this.#writes.delete(done));
    this.#writes.add(done);
  }

  async close(): Promise<void> {
    while (this.#writes.size > 0) await Promise.all(this.#writes);
    await Promise.all([this.#memory, ...this.#lasting].map((store) => store.close()));
  }

  #write(store: CacheStore, entry: CacheEntry): void {
    try {
      const written = store.set(entry);
      if (written instanceof Promise) this.writeBehind(store.tier, written);
    } catch {
      this.#counters.tierError(store.tier);
    }
  }
}

function copyOf(body: Buffer): Buffer {
  const copy = keptBytes(body.length);
  body.copy(copy);
  return copy;
}
