import type { Logger } from '../control/types';

const RETRY_MS = 5_000;

/** What is opened, and how that is said. */
export interface OpeningOptions<T> {
  /** One attempt; `isFirst` in the first. Leaves nothing behind when it rejects. */
  readonly open: (isFirst: boolean) => Promise<T>;
  readonly log: Logger;
  /** Said once when it fails, with `directory`. */
  readonly failure: string;
  readonly directory: string;
  /** Pause between attempts, ms. */
  readonly retryMs?: number | undefined;
}

/** Something on a disk that may be full, read-only or not there when it is opened: tried until it can be. */
export class RetriedOpening<T extends { close(): Promise<void> }> {
  readonly #options: OpeningOptions<T>;
  #opened: T | undefined;
  #attempt: Promise<void> = Promise.resolve();
  #retry: NodeJS.Timeout | undefined;
  #hasFailed = false;
  #closed = false;

  constructor(options: OpeningOptions<T>) {
    this.#options = options;
  }

  /** Makes the first attempt; resolves when it is over, whether it succeeded or others follow. Call once. */
  start(): Promise<void> {
    this.#attempt = this.#try(true);
    return this.#attempt;
  }

  /** `undefined` as long as it cannot be opened. */
  get opened(): T | undefined {
    return this.#opened;
  }

  /** Ends the attempts and closes what was opened. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#retry);
    await this.#attempt;
    await this.#opened?.close();
  }

  async #try(isFirst: boolean): Promise<void> {
    const { open, log, failure, directory, retryMs = RETRY_MS } = this.#options;
    try {
      this.#opened = await open(isFirst);
      if (this.#hasFailed) log.info({ directory }, 'the directory of the disk cache can be used now');
    } catch (error) {
      if (!this.#hasFailed) log.error({ err: error, directory }, failure);
      this.#hasFailed = true;
      if (this.#closed) return;
      this.#retry = setTimeout(() => {
        this.#attempt = this.#try(false);
      }, retryMs);
      this.#retry.unref();
    }
  }
}
