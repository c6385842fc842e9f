import type { Position } from './types';

/** An epoch that was followed without a gap: its position `seq` stands at `base + seq` in the order of the chain. */
interface Followed {
  readonly epoch: string;
  readonly base: number;
  /** Last position of the epoch; open while it is the current one. */
  end: number;
}

/** A chain as plain data; the end of the current epoch is `null`. */
export type ChainSnapshot = readonly { readonly epoch: string; readonly base: number; readonly end: number | null }[];

/** The epochs of the control log that this process followed from one into the next, in a single order. */
export class EpochChain {
  #followed: Followed[];

  constructor(epoch: string) {
    this.#followed = [{ epoch, base: 0, end: Number.POSITIVE_INFINITY }];
  }

  get length(): number {
    return this.#followed.length;
  }

  /** Place of a position in the order of this chain; `undefined` where it cannot be told. */
  orderOf({ epoch, seq }: Position): number | undefined {
    // Newest first: nearly every stamp is of the current epoch.
    for (let i = this.#followed.length - 1; i >= 0; i--) {
      const followed = this.#followed[i];
      if (followed?.epoch === epoch) return seq <= followed.end ? followed.base + seq : undefined;
    }
    return undefined;
  }

  /** The current epoch ended at `seq`, and this one follows it from 0. */
  continueAs(epoch: string, seq: number): void {
    const current = this.#followed.at(-1);
    if (!current) throw new Error('the chain of epochs is empty');
    current.end = seq;
    this.#followed.push({ epoch, base: current.base + seq, end: Number.POSITIVE_INFINITY });
  }

  /** Nothing is known of what came before this epoch. */
  restartAt(epoch: string): void {
    this.#followed = [{ epoch, base: 0, end: Number.POSITIVE_INFINITY }];
  }

  /** Forgets the oldest epoch; gives back where the oldest that is left begins. */
  forgetOldest(): number | undefined {
    this.#followed.shift();
    return this.#followed[0]?.base;
  }

  snapshot(): ChainSnapshot {
    return this.#followed.map(({ epoch, base, end }) => ({ epoch, base, end: Number.isFinite(end) ? end : null }));
  }

  restore(snapshot: ChainSnapshot): void {
    this.#followed = snapshot.map(({ epoch, base, end }) => ({ epoch, base, end: end ?? Number.POSITIVE_INFINITY }));
  }
}
