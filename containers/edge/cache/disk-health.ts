import type { Logger } from '../control/types';
import { Breaker } from './breaker';

/** One refusal is enough: a full or read-only disk does not mend itself between two writes. */
const FAILURES_TO_OPEN = 1;
const RETRY_MS = 5_000;

/** Thrown without touching the disk, while it is left alone after a failure. */
export class DiskSickError extends Error {}

/**
 * Whether a directory takes writes. After a failure (ENOSPC, EROFS, EACCES, EIO, ...) nothing is written for five
 * seconds; then one write is tried, and decides. Reads are not held back: a read-only disk can still answer.
 */
export class DiskHealth {
  readonly #directory: string;
  readonly #log: Logger;
  readonly #breaker: Breaker;
  #failure: unknown;

  /** `now` is a monotonic clock in ms. */
  constructor(directory: string, log: Logger, now?: () => number) {
    this.#directory = directory;
    this.#log = log;
    this.#breaker = new Breaker(FAILURES_TO_OPEN, RETRY_MS, now);
  }

  /** False from a write that failed to the next that succeeds. */
  healthy(): boolean {
    return this.#failure === undefined;
  }

  /** Runs a write. Throws `DiskSickError` instead while the disk is left alone. */
  async attempt<T>(write: () => Promise<T>): Promise<T> {
    if (!this.#breaker.allows()) {
      throw new DiskSickError(`${this.#directory} does not take writes`, { cause: this.#failure });
    }
    return this.observe(write());
  }

  /** Learns from a write that is made whatever the state, and passes its outcome on. */
  async observe<T>(write: Promise<T>): Promise<T> {
    try {
      const result = await write;
      this.#breaker.succeeded();
      if (!this.healthy()) this.#log.info({ directory: this.#directory }, 'disk cache takes writes again');
      this.#failure = undefined;
      return result;
    } catch (error) {
      this.#breaker.failed();
      if (this.healthy()) {
        this.#log.error({ err: error, directory: this.#directory }, 'disk cache refuses writes; going on without it');
      }
      this.#failure = error;
      throw error;
    }
  }
}

/** Whether an error, or what caused it, says that the disk has no room. */
export function isDiskFull(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  return code === 'ENOSPC' || code === 'EDQUOT';
}
