import type { Logger } from '../control/types';
import { Breaker } from './breaker';
import { DISK_THREADS } from './disk-threads';

/** One refusal is enough: a full or read-only disk does not mend itself between two writes. */
const FAILURES_TO_OPEN = 1;
const RETRY_MS = 5_000;

/** How long operations may take, ms. */
export interface DiskDeadlines {
  readonly readMs: number;
  readonly writeMs: number;
}

/** Past the first, asking the origin is better; a disk behind on its writing may well take seconds for one more. */
const DEADLINES: DiskDeadlines = { readMs: 1_000, writeMs: 5_000 };

/** Deviations for tests. */
export interface DiskHealthOptions {
  /** Monotonic clock in ms, by which a disk that was left alone is tried again. */
  readonly now?: (() => number) | undefined;
  readonly deadlines?: DiskDeadlines | undefined;
}

/** Thrown without touching the disk, while it is left alone after a failure, and for what it has not answered in time. */
export class DiskSickError extends Error {}

/**
 * Whether a directory takes writes and answers. After a write that failed (ENOSPC, EROFS, EACCES, EIO, ...) nothing is
 * written for five seconds; then one write is tried, and decides. Reads are not held back: a read-only disk can still
 * answer. After an operation that was not answered by its deadline nothing is read for as long, and nothing at all
 * before it has been answered: each would take another thread of the few that the process has for files.
 */
export class DiskHealth {
  readonly #directory: string;
  readonly #log: Logger;
  readonly #deadlines: DiskDeadlines;
  readonly #writes: Breaker;
  readonly #reads: Breaker;
  #failure: unknown;
  /** Operations past their deadline that have not been answered yet. */
  #overdue = 0;

  constructor(directory: string, log: Logger, { now, deadlines = DEADLINES }: DiskHealthOptions = {}) {
    this.#directory = directory;
    this.#log = log;
    this.#deadlines = deadlines;
    this.#writes = new Breaker(FAILURES_TO_OPEN, RETRY_MS, now);
    this.#reads = new Breaker(FAILURES_TO_OPEN, RETRY_MS, now);
  }

  /** False from an operation that failed, or was late, to the next of its kind that is not. */
  healthy(): boolean {
    return this.#failure === undefined && this.#overdue === 0 && !this.#reads.isOpen();
  }

  /**
   * Runs a read. Throws `DiskSickError` when it is not answered in time, and at once while the disk is left alone.
   * `onLate` gets what comes after that.
   */
  async read<T>(read: () => Promise<T>, onLate?: (result: T) => void): Promise<T> {
    if (this.#overdue > 0 || !this.#reads.allows()) {
      throw new DiskSickError(`${this.#directory} does not answer`);
    }
    try {
      const result = await this.#inTime(DISK_THREADS.run(read), this.#deadlines.readMs, onLate);
      this.#reads.succeeded();
      return result;
    } catch (error) {
      // Any other error is an answer.
      if (!(error instanceof DiskSickError)) this.#reads.succeeded();
      throw error;
    }
  }

  /** Runs a write. Throws `DiskSickError` instead while the disk is left alone. */
  async attempt<T>(write: () => Promise<T>, onLate?: (result: T) => void): Promise<T> {
    if (this.#overdue > 0 || !this.#writes.allows()) {
      throw new DiskSickError(`${this.#directory} does not take writes`, { cause: this.#failure });
    }
    return this.observe(write(), onLate);
  }

  /** Learns from a write that is made whatever the state, and passes its outcome on, or that it is late. */
  async observe<T>(write: Promise<T>, onLate?: (result: T) => void): Promise<T> {
    try {
      const result = await this.within(write, onLate);
      this.#writes.succeeded();
      if (this.#failure !== undefined) this.#log.info({ directory: this.#directory }, 'disk cache takes writes again');
      this.#failure = undefined;
      return result;
    } catch (error) {
      this.#writes.failed();
      if (this.#failure === undefined) {
        this.#log.error({ err: error, directory: this.#directory }, 'disk cache refuses writes; going on without it');
      }
      this.#failure = error;
      throw error;
    }
  }

  /** The outcome of an operation, or `DiskSickError` when it takes longer than a write may. */
  within<T>(operation: Promise<T>, onLate?: (result: T) => void): Promise<T> {
    return this.#inTime(operation, this.#deadlines.writeMs, onLate);
  }

  #inTime<T>(operation: Promise<T>, deadlineMs: number, onLate: ((result: T) => void) | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      let state: 'waiting' | 'answered' | 'late' = 'waiting';
      const expire = (): void => {
        if (state !== 'waiting') return;
        state = 'late';
        this.#isLate(deadlineMs);
        reject(new DiskSickError(`${this.#directory} did not answer within ${deadlineMs} ms`));
      };
      // A turn later: when the loop was held up for as long, the answer may be here already.
      const timer = setTimeout(() => setImmediate(expire), deadlineMs);
      const answered = (): boolean => {
        clearTimeout(timer);
        if (state === 'late') this.#answersAgain();
        const inTime = state === 'waiting';
        state = 'answered';
        return inTime;
      };
      operation.then(
        (result) => (answered() ? resolve(result) : onLate?.(result)),
        (error: unknown) => answered() && reject(error),
      );
    });
  }

  #isLate(deadlineMs: number): void {
    if (this.#overdue === 0) {
      this.#log.error({ directory: this.#directory, deadlineMs }, 'disk cache does not answer; going on without it');
    }
    this.#overdue += 1;
    this.#reads.failed();
  }

  #answersAgain(): void {
    this.#overdue -= 1;
    if (this.#overdue === 0) this.#log.info({ directory: this.#directory }, 'disk cache answers again');
  }
}

/** Whether an error, or what caused it, says that the disk has no room. */
export function isDiskFull(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  return code === 'ENOSPC' || code === 'EDQUOT';
}
