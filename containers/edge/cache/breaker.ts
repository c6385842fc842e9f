/**
 * Circuit breaker: after `failuresToOpen` failures in a row nothing is tried for `retryMs`, then one attempt decides.
 * Keeps a server that hangs from costing every request its deadline.
 */
export class Breaker {
  readonly #failuresToOpen: number;
  readonly #retryMs: number;
  readonly #now: () => number;
  #failures = 0;
  #openUntil = 0;
  #probing = false;

  /** `now` is a monotonic clock in ms. */
  constructor(failuresToOpen: number, retryMs: number, now: () => number = () => performance.now()) {
    this.#failuresToOpen = failuresToOpen;
    this.#retryMs = retryMs;
    this.#now = now;
  }

  /** Whether an attempt may be made now; while the circuit is open, true once per `retryMs`. */
  allows(): boolean {
    if (this.#failures < this.#failuresToOpen) return true;
    if (this.#probing || this.#now() < this.#openUntil) return false;
    this.#probing = true;
    return true;
  }

  /** Whether the failures so far stand: nothing but a probe is let through. */
  isOpen(): boolean {
    return this.#failures >= this.#failuresToOpen;
  }

  /** Passes an attempt's outcome on, having counted it. */
  async watch<T>(attempt: Promise<T>): Promise<T> {
    try {
      const result = await attempt;
      this.#failures = 0;
      return result;
    } catch (error) {
      this.#failures += 1;
      this.#openUntil = this.#now() + this.#retryMs;
      throw error;
    } finally {
      this.#probing = false;
    }
  }
}
