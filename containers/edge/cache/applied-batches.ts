/** Invalidations applied within one such time are forgotten together, ms. */
const BATCH_MS = 60_000;

/** Invalidations up to `order` that were applied between two times. */
interface AppliedBatch {
  readonly since: number;
  until: number;
  order: number;
}

/** When invalidations were applied, roughly, so that old ones can be forgotten. Times in ms by one clock. */
export class AppliedBatches {
  /** Oldest first. */
  #batches: AppliedBatch[] = [];

  note(order: number, now: number): void {
    const latest = this.#batches.at(-1);
    if (latest && now - latest.since < BATCH_MS) {
      latest.until = Math.max(latest.until, now);
      latest.order = order;
    } else this.#batches.push({ since: now, until: now, order });
  }

  /** Forgets what was applied before `time`; gives back the place of the last of it, `undefined` when nothing was. */
  forgetBefore(time: number): number | undefined {
    let last: number | undefined;
    while (this.#batches[0] && this.#batches[0].until < time) last = this.#batches.shift()?.order;
    return last;
  }

  clear(): void {
    this.#batches = [];
  }
}
