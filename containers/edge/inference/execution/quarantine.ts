/** When a model is kept away from the workers. */
export interface QuarantineLimits {
  /** Ended workers within `windowMs` that put the model into quarantine. */
  readonly strikes: number;
  readonly windowMs: number;
  /** Length of the first quarantine; one that begins within `windowMs` of the last one's end is twice as long. */
  readonly firstMs: number;
  readonly longestMs: number;
}

export const QUARANTINE_LIMITS: QuarantineLimits = {
  strikes: 3,
  windowMs: 60_000,
  firstMs: 10_000,
  longestMs: 300_000,
};

/** What a run that was let in gives back when it has ended, with how it did. */
export interface Entry {
  /** Whether the quarantine's end hangs on this run. */
  readonly isTrial: boolean;
}

/**
 * Keeps a model that ends its workers from taking them away from all others, as a circuit breaker does: closed; open for
 * a while after too many strikes; then half open, when one run decides.
 */
export class Quarantine {
  readonly #limits: QuarantineLimits;
  readonly #now: () => number;
  #strikes: number[] = [];
  #lastReason = '';
  /** While it lasts, the moment from which a trial is let in. */
  #until: number | undefined;
  #lengthMs = 0;
  #endedAt = Number.NEGATIVE_INFINITY;
  #trialUnderWay = false;

  /** `now` is a clock in ms that never goes back. */
  constructor(limits: QuarantineLimits = QUARANTINE_LIMITS, now: () => number = () => performance.now()) {
    this.#limits = limits;
    this.#now = now;
  }

  /** Whether runs are refused now. */
  get active(): boolean {
    return this.#until !== undefined;
  }

  /** Lets a run in, or says in a sentence why not. */
  enter(): Entry | string {
    if (this.#until === undefined) return { isTrial: false };
    const leftMs = this.#until - this.#now();
    if (leftMs > 0 || this.#trialUnderWay) {
      const when = leftMs > 0 ? `in ${Math.ceil(leftMs / 1000)} s` : 'at this moment';
      return `quarantined, for it keeps ending its workers (last: ${this.#lastReason}); tried again ${when}`;
    }
    this.#trialUnderWay = true;
    return { isTrial: true };
  }

  /** The run has ended and its worker is well. */
  passed({ isTrial }: Entry): void {
    if (!isTrial) return;
    this.#trialUnderWay = false;
    this.#until = undefined;
    this.#endedAt = this.#now();
  }

  /** The run did not come to a worker. */
  abandoned({ isTrial }: Entry): void {
    if (isTrial) this.#trialUnderWay = false;
  }

  /** The run has ended its worker. */
  strike({ isTrial }: Entry, reason: string): void {
    const now = this.#now();
    this.#lastReason = reason;
    if (isTrial) this.#trialUnderWay = false;
    // Runs that were let in before the quarantine began say nothing new.
    if (this.#until !== undefined && !isTrial) return;
    this.#strikes = [...this.#strikes.filter((at) => at > now - this.#limits.windowMs), now];
    if (isTrial || this.#strikes.length >= this.#limits.strikes) this.#begin(now, isTrial);
  }

  #begin(now: number, trialFailed: boolean): void {
    const isRelapse = trialFailed || now - this.#endedAt < this.#limits.windowMs;
    this.#lengthMs = isRelapse ? Math.min(this.#lengthMs * 2, this.#limits.longestMs) : this.#limits.firstMs;
    this.#until = now + this.#lengthMs;
    this.#strikes = [];
  }
}
