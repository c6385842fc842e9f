import type { InvalidateMessage } from '../../../lib/core/control-message';
import type { Logger } from '../control/types';
import { ControlJournal } from './control-journal';
import { DiskSickError } from './disk-health';
import { DiskStore } from './disk-store';
import type { InvalidationIndex } from './invalidation-index';
import { RetriedOpening } from './retried-opening';
import type { BoundedStore, CacheEntry, StoreUsage } from './types';

/** What a disk tier is made of. */
export interface DiskTierConfig {
  /** This process's alone. */
  readonly directory: string;
  readonly maxBytes: number;
  /** Not used yet: restored from the journal when the directory can be opened at once. */
  readonly index: InvalidationIndex;
  readonly log: Logger;
  /** Pause before a disk that refused is tried again, ms. */
  readonly retryMs?: number | undefined;
  /** How long to wait at the start for a disk that does not answer, ms. */
  readonly startMs?: number | undefined;
}

interface OpenDisk {
  readonly store: DiskStore;
  close(): Promise<void>;
}

/**
 * Tier `l2` as the cache uses it: the store of entries with the journal that makes them usable. It is there from the
 * start. While its directory cannot be used it holds nothing and is not healthy, and it comes by itself: what the
 * process before left is then judged by what this one knows of the control log.
 */
export class DiskTier implements BoundedStore {
  readonly tier = 'l2';
  readonly journal: ControlJournal;
  readonly #directory: string;
  readonly #opening: RetriedOpening<OpenDisk>;
  #unsent: InvalidateMessage[] = [];
  #onUnsent: ((messages: readonly InvalidateMessage[]) => void) | undefined;

  /** Does not reject: a directory that cannot be used is said in the log and tried again. */
  static async open(config: DiskTierConfig): Promise<DiskTier> {
    const tier = new DiskTier(config);
    await tier.#opening.start();
    return tier;
  }

  private constructor({ directory, maxBytes, index, log, retryMs, startMs }: DiskTierConfig) {
    this.#directory = directory;
    this.journal = new ControlJournal(directory, index, log, retryMs);
    this.#opening = new RetriedOpening({
      open: async (isAwaited) => {
        const store = await DiskStore.open(directory, maxBytes, log);
        // Before entries are written here: an earlier state of the log must not be found beside them.
        this.#inherit(await this.journal.open(isAwaited));
        const close = async () => {
          await this.journal.close();
          // Last, for it gives the directory free.
          await store.close();
        };
        return { store, close };
      },
      log,
      failure: 'disk cache cannot be used; going on without it',
      directory,
      retryMs,
      startMs,
    });
  }

  /**
   * Who takes up the messages of a process before this one that may not stand in the control log yet; called at once,
   * and again should the directory be opened later.
   */
  onUnsent(takeUp: (messages: readonly InvalidateMessage[]) => void): void {
    this.#onUnsent = takeUp;
    this.#inherit([]);
  }

  async get(key: string): Promise<CacheEntry | undefined> {
    return this.#opening.opened?.store.get(key);
  }

  async set(entry: CacheEntry): Promise<void> {
    await this.#store().set(entry);
  }

  async delete(key: string): Promise<void> {
    await this.#store().delete(key);
  }

  async clear(): Promise<void> {
    await this.#opening.opened?.store.clear();
  }

  usage(): StoreUsage {
    return this.#opening.opened?.store.usage() ?? { bytes: 0, entries: 0, evictions: 0, corrupt: 0 };
  }

  /** False while the directory cannot be used, or refuses entries or the journal. */
  healthy(): boolean {
    return this.#opening.opened?.store.healthy() === true && this.journal.healthy();
  }

  /** Writes out what is pending and closes the files, the journal's too. */
  close(): Promise<void> {
    return this.#opening.close();
  }

  #store(): DiskStore {
    const store = this.#opening.opened?.store;
    if (!store) throw new DiskSickError(`${this.#directory} cannot be used`);
    return store;
  }

  #inherit(messages: readonly InvalidateMessage[]): void {
    this.#unsent.push(...messages);
    if (!this.#onUnsent || this.#unsent.length === 0) return;
    const taken = this.#unsent;
    this.#unsent = [];
    this.#onUnsent(taken);
  }
}
