import type { InvalidationIndex } from './invalidation-index';
import type { MemorySlot, MemoryStore } from './memory-store';
import { retainedUntil } from './types';

/** Pause between looks, ms. */
const EVERY_MS = 1_000;
/** Entries judged in one go: about a tenth of a millisecond's work. */
const SLICE = 200;

/**
 * Walks the memory tier behind prefix and glob invalidations in small slices, so that what they hit does not wait to be
 * asked for, and lets the index forget invalidations older than anything that is kept. Entries of the lasting tiers
 * are judged when they are read, and run out by their own lifetimes.
 */
export class BanSweeper {
  readonly #memory: MemoryStore;
  readonly #index: InvalidationIndex;
  readonly #clock: () => number;
  readonly #timer: NodeJS.Timeout;
  #sweptVersion: number;
  #sweeping = false;
  #closed = false;

  constructor(memory: MemoryStore, index: InvalidationIndex, clock: () => number, everyMs = EVERY_MS) {
    this.#memory = memory;
    this.#index = index;
    this.#clock = clock;
    this.#sweptVersion = index.banVersion();
    this.#timer = setInterval(() => this.#look(), everyMs);
    this.#timer.unref();
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#timer);
  }

  #look(): void {
    this.#index.forgetExpired();
    if (this.#sweeping || this.#sweptVersion === this.#index.banVersion()) return;
    this.#sweptVersion = this.#index.banVersion();
    this.#sweeping = true;
    void this.#sweep().finally(() => {
      this.#sweeping = false;
    });
  }

  async #sweep(): Promise<void> {
    // What is written from now on is judged by its fill, and stands behind everything that is here already.
    let left = this.#memory.usage().entries;
    for (const slot of this.#memory.slots()) {
      if (left-- === 0 || this.#closed) return;
      this.#judge(slot);
      if (left % SLICE === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  }

  #judge(slot: MemorySlot): void {
    const { entry } = slot;
    if (this.#index.isValid(entry) && this.#clock() < retainedUntil(entry)) slot.validAtVersion = this.#index.version();
    else this.#memory.delete(entry.key);
  }
}
