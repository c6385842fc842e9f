import type { Waiter } from '../../cache/types';

/** Who waits for a run. It is asked when the run is about to begin, so hanging up costs nothing until then. */
export interface Demand {
  /** Moment on `performance.now()`'s clock, ms, after which nobody wants the answer; infinite without one. */
  readonly deadline: number;
  /** Whether anybody still waits. */
  isWanted(): boolean;
  /** The run has been given up: nobody may join those who wait for it. */
  close(): void;
}

/** The demand of one request that shares its run with nobody. */
export function demandOf(waiter: Waiter | undefined): Demand {
  return waiter === undefined ? UNCONDITIONAL : new OwnDemand(waiter);
}

const UNCONDITIONAL: Demand = { deadline: Number.POSITIVE_INFINITY, isWanted: () => true, close: () => undefined };

class OwnDemand implements Demand {
  readonly deadline: number;
  readonly #signal: Waiter['signal'];

  constructor({ deadline, signal }: Waiter) {
    this.deadline = deadline ?? Number.POSITIVE_INFINITY;
    this.#signal = signal;
  }

  isWanted(): boolean {
    return this.#signal?.aborted !== true;
  }

  close(): void {}
}
