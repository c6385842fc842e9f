/** One command that was sent. */
interface Attempt {
  readonly startedAt: number;
  /** Ends the wait for the reply; does nothing once it is over. */
  readonly giveUp: () => void;
  /** The reply or an error has come, in time or late. */
  settled: boolean;
}

/** Settings of `Attempts`. Durations in ms. */
export interface AttemptsOptions {
  /** Names in errors what did not answer. */
  readonly who: string;
  readonly deadlineMs: number;
  /** A reply later than this will not come: the connection is dead. At least `deadlineMs`. */
  readonly hungMs: number;
  readonly onSuccess: () => void;
  /** Called once per failed attempt: with the server's error or with that of the deadline. */
  readonly onFailure: (error: unknown) => void;
  /** Called when a reply has been missing for `hungMs`. */
  readonly onHung: () => void;
  /** Monotonic clock, ms. */
  readonly now?: () => number;
}

/** Resolution of the deadline, ms. */
const TICK_MS = 5;
/** Stands where an attempt was. */
const OVER: Attempt = { startedAt: 0, settled: true, giveUp: () => undefined };
/** Dropped from the front of the queue in one go, so that dropping costs nothing per attempt. */
const COMPACT_AT = 1_024;

/**
 * Bounds the wait for replies that come mostly in the order in which they were asked for, all by the same deadline. One
 * timer serves every attempt and runs only while there are any: a timer of its own would cost an attempt more than the
 * command does.
 */
export class Attempts {
  readonly #options: AttemptsOptions;
  readonly #now: () => number;
  /** In the order of their start, from `#first` on; those after `#late` are within the deadline. */
  #queue: Attempt[] = [];
  #first = 0;
  #late = 0;
  /** Set while there are attempts within the deadline. */
  #timer: NodeJS.Timeout | undefined;
  /** Set while there are late attempts. */
  #hungTimer: NodeJS.Timeout | undefined;

  constructor(options: AttemptsOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** The reply, or a rejection when it fails or takes longer than the deadline. */
  run<T>(reply: Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      let open = true;
      const attempt: Attempt = {
        startedAt: this.#now(),
        settled: false,
        giveUp: () => {
          if (!open) return;
          open = false;
          const error = new Error(`${this.#options.who} did not answer within ${this.#options.deadlineMs} ms`);
          this.#options.onFailure(error);
          reject(error);
        },
      };
      this.#queue.push(attempt);
      this.#timer ??= this.#wakeIn(this.#options.deadlineMs);
      reply.then(
        (value) => {
          this.#settle(attempt);
          if (!open) return;
          open = false;
          this.#options.onSuccess();
          resolve(value);
        },
        (error: unknown) => {
          this.#settle(attempt);
          if (!open) return;
          open = false;
          this.#options.onFailure(error);
          reject(error);
        },
      );
    });
  }

  /** Attempts whose reply has not come, late ones included. */
  get outstanding(): number {
    let count = 0;
    for (let i = this.#first; i < this.#queue.length; i++) if (this.#queue[i]?.settled === false) count += 1;
    return count;
  }

  /** Forgets every attempt; those still waited for are given up. */
  close(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#hungTimer);
    this.#timer = undefined;
    this.#hungTimer = undefined;
    for (const attempt of this.#queue.splice(0).slice(this.#first)) if (!attempt.settled) attempt.giveUp();
    this.#first = 0;
    this.#late = 0;
  }

  #settle(attempt: Attempt): void {
    attempt.settled = true;
    while (this.#queue[this.#first]?.settled) {
      // The queue is compacted now and then only; until then it must not keep replies alive.
      this.#queue[this.#first] = OVER;
      this.#first += 1;
    }
    if (this.#first === this.#queue.length) {
      this.#queue.length = 0;
      this.#first = 0;
      this.#late = 0;
    } else if (this.#first >= COMPACT_AT) {
      this.#queue.splice(0, this.#first);
      this.#late = Math.max(0, this.#late - this.#first);
      this.#first = 0;
    }
  }

  #wakeIn(ms: number): NodeJS.Timeout {
    // Judged after the poll phase: a loop that was busy reads what has arrived before it calls the server late.
    return setTimeout(
      () => {
        const now = this.#now();
        setImmediate(() => this.#judge(now));
      },
      Math.max(TICK_MS, ms),
    );
  }

  #judge(now: number): void {
    if (this.#timer === undefined) return;
    this.#timer = undefined;
    const { deadlineMs, hungMs } = this.#options;
    this.#late = Math.max(this.#late, this.#first);
    for (let next = this.#queue[this.#late]; next; next = this.#queue[this.#late]) {
      if (!next.settled && now - next.startedAt < deadlineMs) {
        this.#timer = this.#wakeIn(next.startedAt + deadlineMs - now);
        break;
      }
      this.#late += 1;
      if (next.settled) continue;
      next.giveUp();
      this.#hungTimer ??= this.#lookForHung(hungMs - deadlineMs);
    }
  }

  #lookForHung(inMs: number): NodeJS.Timeout {
    return setTimeout(
      () => {
        this.#hungTimer = undefined;
        const { hungMs, onHung } = this.#options;
        const oldest = this.#queue[this.#first];
        if (oldest === undefined) return;
        const leftMs = oldest.startedAt + hungMs - this.#now();
        if (leftMs <= 0) onHung();
        this.#hungTimer = this.#lookForHung(leftMs > 0 ? leftMs : hungMs);
      },
      Math.max(TICK_MS, inMs),
    );
  }
}
