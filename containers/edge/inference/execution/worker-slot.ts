import type { Logger } from '../../control/types';
import type { WorkerCommand } from './worker-command';
import { type WorkerDeath, WorkerProcess } from './worker-process';

/** Longest that a worker may take to start, ms. */
const START_LIMIT_MS = 30_000;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 10_000;

/** Who owns a slot. */
export interface SlotOwner {
  readonly command: WorkerCommand;
  readonly log: Logger;
  /** The slot can take work. */
  onReady(): void;
  /** Its worker has ended without being told to by `stop`. */
  onDeath(slot: WorkerSlot, death: WorkerDeath): void;
  /** A worker is started in place of one that ended. */
  onRestart(): void;
}

/**
 * A place of the pool that always has a worker: one that ends is replaced, at once when it had run something, and after
 * a pause that doubles while its successors end without having run anything.
 */
export class WorkerSlot {
  /** Whether something has been given to the worker that it has not finished. */
  busy = false;
  readonly #owner: SlotOwner;
  #worker: WorkerProcess | undefined;
  #deathsInARow = 0;
  #pause: NodeJS.Timeout | undefined;
  #stopped = true;

  constructor(owner: SlotOwner) {
    this.#owner = owner;
  }

  /** The worker, when it is there and has nothing to do. */
  get idleWorker(): WorkerProcess | undefined {
    return this.busy ? undefined : this.worker;
  }

  /** The worker, when it is there. */
  get worker(): WorkerProcess | undefined {
    return this.#worker?.alive === true ? this.#worker : undefined;
  }

  get started(): boolean {
    return !this.#stopped;
  }

  /** Has a worker from now on: this one, if one is given, else a new one. */
  start(ready?: WorkerProcess): void {
    if (!this.#stopped) return;
    this.#stopped = false;
    this.#deathsInARow = 0;
    if (ready === undefined) this.#spawn();
    else this.#employ(ready);
  }

  /** The worker has run something and is well. */
  ranWell(): void {
    this.#deathsInARow = 0;
  }

  /** Ends the worker, whatever it does; resolves when it is gone. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#pause);
    this.#worker?.kill('the service is stopping');
    await this.#worker?.ended;
  }

  #spawn(): void {
    const worker = new WorkerProcess(this.#owner.command);
    const limit = setTimeout(() => worker.kill(`it had not started after ${START_LIMIT_MS / 1000} s`), START_LIMIT_MS);
    void worker.ended.then(() => clearTimeout(limit));
    void worker.ready.then(() => clearTimeout(limit)).catch(() => undefined);
    this.#employ(worker);
  }

  #employ(worker: WorkerProcess): void {
    this.#worker = worker;
    void worker.ended.then((death) => this.#ended(worker, death));
    void worker.ready.then(() => this.#owner.onReady()).catch(() => undefined);
  }

  #ended(worker: WorkerProcess, death: WorkerDeath): void {
    if (this.#worker !== worker || this.#stopped) return;
    const pauseMs = this.#deathsInARow === 0 ? 0 : FIRST_PAUSE_MS * 2 ** (this.#deathsInARow - 1);
    this.#deathsInARow += 1;
    this.#owner.log.warn(
      { pid: worker.pid, how: death.how, reason: death.message },
      'model worker ended, replacing it',
    );
    this.#owner.onDeath(this, death);
    this.#pause = setTimeout(
      () => {
        this.#owner.onRestart();
        this.#spawn();
      },
      Math.min(pauseMs, LONGEST_PAUSE_MS),
    );
  }
}
