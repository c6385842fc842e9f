/** Weight of one attempt in the share of failures: about the last 32 attempts count. */
const ATTEMPT_WEIGHT = 1 / 32;

/**
 * Circuit breaker: after `failuresToOpen` failures in a row, or when more than `shareToOpen` of the latest attempts
 * failed, nothing is tried for `retryMs`; then one attempt decides. Keeps a server that hangs from costing every request
 * its deadline, and one that answers only some from costing every other.
 */
export class Breaker {
  readonly #failuresToOpen: number;
  readonly #shareToOpen: number;
  readonly #retryMs: number;
  readonly #now: () => number;
  #failuresInARow = 0;
  #failureShare = 0;
  #isOpen = false;
  #openUntil = 0;
  #probing = false;

  /** `now` is a monotonic clock in ms. */
  constructor(failuresToOpen: number, retryMs: number, now: () => number = () => performance.now(), shareToOpen = 0.4) {
    this.#failuresToOpen = failuresToOpen;
    this.#shareToOpen = shareToOpen;
    this.#retryMs = retryMs;
    this.#now = now;
  }

  /** Whether an attempt may be made now; while the circuit is open, true once per `retryMs`. Each must be reported. */
  allows(): boolean {
    if (!this.#isOpen) return true;
    if (this.#probing || this.#now() < this.#openUntil) return false;
    this.#probing = true;
    return true;
  }

  /** Whether nothing but a probe is let through. */
  isOpen(): boolean {
    return this.#isOpen;
  }

  /** An attempt succeeded. One that was begun before the circuit opened closes it as well as the probe does. */
  succeeded(): void {
    this.#failuresInARow = 0;
    if (this.#isOpen) {
      this.#isOpen = false;
      this.#probing = false;
      this.#failureShare = 0;
    } else {
      this.#failureShare *= 1 - ATTEMPT_WEIGHT;
    }
  }

  /** An attempt failed. */
  failed(): void {
    this.#failuresInARow += 1;
    this.#failureShare += (1 - this.#failureShare) * ATTEMPT_WEIGHT;
    this.#probing = false;
    if (this.#failuresInARow < this.#failuresToOpen && this.#failureShare <= this.#shareToOpen) return;
    this.#isOpen = true;
    this.#openUntil = this.#now() + this.#retryMs;
  }
}
