/** A finished body on the disk. */
export interface KnownBody {
  readonly id: string;
  /** Of its file. */
  readonly bytes: number;
  /** Who has its file open. */
  readers: number;
}

interface Slot extends KnownBody {
  visited: boolean;
  newer: Slot | undefined;
  older: Slot | undefined;
}

/**
 * The finished bodies in the order they came, with the choice of what to give up: SIEVE (Zhang et al., NSDI 2024), and
 * never one that is being read.
 */
export class BodyIndex {
  readonly #slots = new Map<string, Slot>();
  #newest: Slot | undefined;
  #oldest: Slot | undefined;
  #hand: Slot | undefined;
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  get size(): number {
    return this.#slots.size;
  }

  get(id: string): KnownBody | undefined {
    return this.#slots.get(id);
  }

  add(id: string, bytes: number): KnownBody {
    this.remove(id);
    const slot: Slot = { id, bytes, readers: 0, visited: false, newer: undefined, older: this.#newest };
    if (this.#newest) this.#newest.newer = slot;
    else this.#oldest = slot;
    this.#newest = slot;
    this.#slots.set(id, slot);
    this.#bytes += bytes;
    return slot;
  }

  /** Remembers that the body was wanted. */
  touch(id: string): void {
    const slot = this.#slots.get(id);
    if (slot) slot.visited = true;
  }

  /** Makes the body the next to go. */
  demote(id: string): void {
    const slot = this.#slots.get(id);
    if (!slot) return;
    slot.visited = false;
    this.#hand = slot;
  }

  remove(id: string): KnownBody | undefined {
    const slot = this.#slots.get(id);
    if (!slot) return undefined;
    this.#slots.delete(id);
    this.#bytes -= slot.bytes;
    if (this.#hand === slot) this.#hand = slot.newer;
    if (slot.newer) slot.newer.older = slot.older;
    else this.#newest = slot.older;
    if (slot.older) slot.older.newer = slot.newer;
    else this.#oldest = slot.newer;
    // As in the memory tier: a dead slot must not keep its neighbours alive.
    slot.newer = slot.older = undefined;
    return slot;
  }

  /** Takes out the body that is missed least; `undefined` when all that are left are being read. */
  evict(): KnownBody | undefined {
    let slot = this.#hand ?? this.#oldest;
    // Two rounds: the first may only clear marks.
    for (let looked = 0; slot && looked < 2 * this.#slots.size; looked++) {
      if (!slot.visited && slot.readers === 0) {
        this.#hand = slot;
        return this.remove(slot.id);
      }
      slot.visited = false;
      slot = slot.newer ?? this.#oldest;
    }
    return undefined;
  }
}
