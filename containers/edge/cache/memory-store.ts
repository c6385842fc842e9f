import { Doorkeeper } from './doorkeeper';
import { Sieve, type SieveNode } from './sieve';
import type { BoundedStore, CacheEntry, StoreUsage } from './types';

/** An entry's place in memory, with what is known of the entry besides. */
export interface MemorySlot {
  /** To be read before anything is written to the store: a slot whose entry has gone has another, which is nobody's. */
  readonly entry: CacheEntry;
  /** End of its freshness, ms since 1970. */
  readonly freshUntil: number;
  /** Version of the invalidation index at which it was last found valid; a plain field, for this is the hottest check. */
  validAtVersion: number;
}

/** The memory tier, with slots for the cache that looks many times at the same entry. */
export interface MemoryStore extends BoundedStore {
  get(key: string): CacheEntry | undefined;
  set(entry: CacheEntry): void;
  delete(key: string): void;
  clear(): void;
  /**
   * Whether an entry that a lower tier has is worth a copy: any while there is room, and then what takes the place of an
   * older one or was asked for lately. Copying in what is asked for once costs more than the answer, and its place.
   */
  wants(entry: CacheEntry): boolean;
  /** As `get`; counts as a use of the entry. */
  slot(key: string): MemorySlot | undefined;
  /** Every slot in the order of writing, without using it. Stays sound while entries come and go. */
  slots(): IterableIterator<MemorySlot>;
}

interface Slot extends MemorySlot, SieveNode<Slot> {
  entry: CacheEntry;
  readonly bytes: number;
}

const NOTHING: CacheEntry = {
  key: '',
  body: Buffer.alloc(0),
  tags: [],
  stamp: { epoch: '', seq: 0 },
  storedAt: 0,
  ttlMs: 0,
  staleWhileRevalidateMs: 0,
  staleIfErrorMs: 0,
};

/** What a slot, its Map entry and the entry's small objects take on a 64-bit V8, roughly. */
const OVERHEAD_BYTES = 320;
const NEVER_CHECKED = -1;
/** Bytes of the bound for which the doorkeeper remembers one key: it looks back further than the store holds. */
const BYTES_PER_KNOWN_KEY = 256;

/** Tier `memory`: bounded in bytes, evicting by SIEVE, so that a hit only sets a bit. */
export function createMemoryStore(maxBytes: number): MemoryStore {
  return new SieveStore(maxBytes);
}

class SieveStore implements MemoryStore {
  readonly tier = 'memory';
  readonly #maxBytes: number;
  readonly #slots = new Map<string, Slot>();
  readonly #sieve = new Sieve<Slot>();
  readonly #doorkeeper: Doorkeeper;
  #bytes = 0;
  #evictions = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
    this.#doorkeeper = new Doorkeeper(maxBytes / BYTES_PER_KNOWN_KEY);
  }

  get(key: string): CacheEntry | undefined {
    return this.slot(key)?.entry;
  }

  slot(key: string): MemorySlot | undefined {
    const slot = this.#slots.get(key);
    if (slot !== undefined) slot.visited = true;
    return slot;
  }

  slots(): IterableIterator<MemorySlot> {
    return this.#slots.values();
  }

  wants(entry: CacheEntry): boolean {
    if (this.#bytes + sizeInMemory(entry) <= this.#maxBytes) return true;
    return this.#slots.has(entry.key) || this.#doorkeeper.knows(entry.key);
  }

  set(entry: CacheEntry): void {
    const replaced = this.#slots.get(entry.key);
    if (replaced) this.#remove(replaced);
    const bytes = sizeInMemory(entry);
    if (bytes > this.#maxBytes) return;
    while (this.#bytes + bytes > this.#maxBytes) this.#evictOne();

    const slot: Slot = {
      entry,
      freshUntil: entry.storedAt + entry.ttlMs,
      validAtVersion: NEVER_CHECKED,
      bytes,
      // A replaced entry keeps its standing: being refilled says nothing against its popularity.
      visited: replaced?.visited ?? false,
      newer: undefined,
      older: undefined,
    };
    this.#sieve.add(slot);
    this.#slots.set(entry.key, slot);
    this.#bytes += bytes;
  }

  delete(key: string): void {
    const slot = this.#slots.get(key);
    if (slot) this.#remove(slot);
  }

  clear(): void {
    this.#slots.clear();
    this.#sieve.clear();
    this.#bytes = 0;
  }

  async close(): Promise<void> {
    this.clear();
  }

  usage(): StoreUsage {
    return { bytes: this.#bytes, entries: this.#slots.size, evictions: this.#evictions, corrupt: 0 };
  }

  #remove(slot: Slot): void {
    this.#sieve.remove(slot);
    this.#forget(slot);
  }

  #evictOne(): void {
    const evicted = this.#sieve.evict();
    if (!evicted) return;
    this.#forget(evicted);
    this.#evictions += 1;
  }

  #forget(slot: Slot): void {
    this.#slots.delete(slot.entry.key);
    this.#bytes -= slot.bytes;
    // A table that the Map has outgrown may keep dead slots alive for long, but not what was in them.
    slot.entry = NOTHING;
  }
}

/** Bytes an entry is charged for: its body, two per character of its strings at worst, and bookkeeping. */
function sizeInMemory(entry: CacheEntry): number {
  let characters = entry.key.length;
  for (const tag of entry.tags) characters += tag.length;
  return entry.body.length + 2 * characters + OVERHEAD_BYTES;
}
