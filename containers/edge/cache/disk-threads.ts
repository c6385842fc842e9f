/** Threads of libuv's pool where `UV_THREADPOOL_SIZE` does not say. https://docs.libuv.org/en/v1.x/threadpool.html */
const DEFAULT_POOL_SIZE = 4;

/**
 * Bounds the operations on the cache's files that are under way at one time. Each holds a thread of the process's pool
 * until the disk has answered, and the pool resolves names and loads models too: a disk that hangs must not take it all.
 */
export class DiskThreads {
  readonly #waiting: (() => void)[] = [];
  #free: number;

  /** `count`: operations at one time, at least 1. */
  constructor(count: number) {
    this.#free = Math.max(1, Math.floor(count));
  }

  /** Begins `operation` when its turn has come, and passes on its outcome. It must not itself run another one. */
  run<T>(operation: () => Promise<T>): Promise<T> {
    if (this.#free > 0) {
      this.#free -= 1;
      return this.#begin(operation);
    }
    return new Promise((resolve) => this.#waiting.push(() => resolve(this.#begin(operation))));
  }

  async #begin<T>(operation: () => Promise<T>): Promise<T> {
    try {
      return await operation();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    }
  }
}

/** Those of this process: half of its pool. */
export const DISK_THREADS = new DiskThreads(Number(process.env.UV_THREADPOOL_SIZE ?? DEFAULT_POOL_SIZE) / 2 || 1);
