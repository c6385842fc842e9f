import { Sieve, type SieveNode } from './sieve';

/** A finished body on the disk. */
export interface KnownBody {
  readonly id: string;
  /** Of its file. */
  readonly bytes: number;
  /** Who has its file open. */
  readers: number;
}

interface Slot extends KnownBody, SieveNode<Slot> {}

/**
 * The finished bodies in the order they came, with the choice of what to give up: by SIEVE, and never one that is being
 * read.
 */
export class BodyIndex {
  readonly #slots = new Map<string, Slot>();
  readonly #sieve = new Sieve<Slot>();
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
    const slot: Slot = { id, bytes, readers: 0, visited: false, newer: undefined, older: undefined };
    this.#sieve.add(slot);
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
    if (slot) this.#sieve.demote(slot);
  }

  remove(id: string): KnownBody | undefined {
    const slot = this.#slots.get(id);
    if (!slot) return undefined;
    this.#sieve.remove(slot);
    this.#forget(slot);
    return slot;
  }

  /** Takes out the body that is missed least; `undefined` when all that are left are being read. */
  evict(): KnownBody | undefined {
    const slot = this.#sieve.evict(({ readers }) => readers > 0);
    if (slot) this.#forget(slot);
    return slot;
  }

  #forget(slot: Slot): void {
    this.#slots.delete(slot.id);
    this.#bytes -= slot.bytes;
  }
}
