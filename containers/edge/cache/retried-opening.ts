import type { Logger } from '../control/types';

const RETRY_MS = 5_000;
/** The service does not wait longer for a disk that hangs. */
const START_MS = 5_000;

/** What is opened, and how that is said. */
export interface OpeningOptions<T> {
  /** One attempt. Leaves nothing behind when it rejects. `isAwaited` tells whether `start` still waits for it. */
  readonly open: (isAwaited: () => boolean) => Promise<T>;
  readonly log: Logger;
  /** Said once when it fails, with `directory`. */
  readonly failure: string;
  readonly directory: string;
  /** Pause between attempts, ms. */
  readonly retryMs?: number | undefined;
  /** How long `start` waits for a disk that does not answer, ms. */
  readonly startMs?: number | undefined;
}

/** Something on a disk that may be full, read-only or not there when it is opened: tried until it can be. */
export class RetriedOpening<T extends { close(): Promise<void> }> {
  readonly #options: OpeningOptions<T>;
  #opened: T | undefined;
  #attempt: Promise<void> = Promise.resolve();
  #retry: NodeJS.Timeout | undefined;
  #hasFailed = false;
  #isAwaited = true;
  #closed = false;

  constructor(options: OpeningOptions<T>) {
    this.#options = options;
  }

  /**
   * Makes the first attempt; resolves when it is over, whether it succeeded or others follow, or takes too long and goes
   * on in the background. Call once.
   */
  async start(): Promise<void> {
    this.#attempt = this.#try();
    await this.#answerOf(this.#attempt);
    this.#isAwaited = false;
  }

  /** `undefined` as long as it cannot be opened. */
  get opened(): T | undefined {
    return this.#opened;
  }

  /** Ends the attempts and closes what was opened. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#retry);
    await this.#answerOf(this.#attempt);
    await this.#opened?.close();
  }

  /** Resolves with the end of an attempt, or when that takes too long. */
  async #answerOf(attempt: Promise<void>): Promise<void> {
    const { log, failure, directory, startMs = START_MS } = this.#options;
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        if (!this.#hasFailed) log.error({ directory, waitedMs: startMs }, failure);
        this.#hasFailed = true;
        resolve();
      }, startMs);
    });
    await Promise.race([attempt, tooLate]);
    clearTimeout(timer);
  }

  async #try(): Promise<void> {
    const { open, log, failure, directory, retryMs = RETRY_MS } = this.#options;
    try {
      const opened = await open(() => this.#isAwaited);
      if (this.#closed) {
        await opened.close();
        return;
      }
      this.#opened = opened;
      if (this.#hasFailed) log.info({ directory }, 'the directory of the disk cache can be used now');
    } catch (error) {
      if (!this.#hasFailed) log.error({ err: error, directory }, failure);
      this.#hasFailed = true;
      if (this.#closed) return;
      this.#retry = setTimeout(() => {
        this.#attempt = this.#try();
      }, retryMs);
      this.#retry.unref();
    }
  }
}
