import { messageOf } from '../../errors';
import { RefusedModel } from '../refused-model';
import { closingError } from './run-errors';
import type { ModelFile } from './types';
import type { WorkerCommand } from './worker-command';
import type { Signature } from './worker-loop';
import { WorkerDeath, WorkerProcess } from './worker-process';

/**
 * How long a spare worker is kept for the next trial, ms. To start one holds the service up: the fork of a large process
 * takes some 10 ms.
 */
const SPARE_KEPT_MS = 60_000;

/** A model that loaded, and the worker that has it. */
export interface Trial {
  readonly signature: Signature;
  readonly worker: WorkerProcess;
}

/**
 * Loads models for the first time, each in a worker that nothing else depends on: a file that crashes ONNX Runtime,
 * never ends to load or eats all memory takes nothing with it.
 */
export class Trials {
  readonly #command: WorkerCommand;
  readonly #loadLimitMs: number;
  readonly #atOnce: number;
  readonly #waiting: (() => void)[] = [];
  readonly #workers = new Set<WorkerProcess>();
  readonly #spares: WorkerProcess[] = [];
  #running = 0;
  #closed = false;

  /** At most `atOnce` models are tried at once; one that has not loaded after `loadLimitMs` is refused. */
  constructor(command: WorkerCommand, loadLimitMs: number, atOnce: number) {
    this.#command = command;
    this.#loadLimitMs = loadLimitMs;
    this.#atOnce = atOnce;
  }

  /**
   * Loads a model under the number of its session. The worker must be given on with `handOver` or back with `giveBack`.
   * Rejects with `RefusedModel` when the model must not be served, and says why.
   */
  async load(session: number, file: ModelFile): Promise<Trial> {
    if (this.#running >= this.#atOnce) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#running += 1;
    try {
      if (this.#closed) throw closingError();
      return await this.#loadIn(await this.#spare(), session, file);
    } finally {
      // The place goes straight to the next who waits, so that nobody comes between.
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }

  /** Leaves a trial's worker, with its model, to the caller. */
  handOver(worker: WorkerProcess): WorkerProcess {
    this.#workers.delete(worker);
    return worker;
  }

  /** Frees the model and keeps the worker for another trial, for a while. */
  giveBack(worker: WorkerProcess, session: number): void {
    worker.release(session);
    this.#keep(worker);
  }

  /** Ends what is under way; resolves when no process is left. */
  async close(): Promise<void> {
    this.#closed = true;
    const workers = [...this.#workers];
    for (const worker of workers) worker.kill('the service is stopping');
    await Promise.all(workers.map((worker) => worker.ended));
  }

  async #loadIn(worker: WorkerProcess, session: number, file: ModelFile): Promise<Trial> {
    const limit = setTimeout(
      () => worker.kill(`it did not load within ${this.#loadLimitMs / 1000} s`),
      this.#loadLimitMs,
    );
    try {
      return { signature: await worker.open(session, file), worker };
    } catch (error) {
      if (this.#closed) throw closingError();
      if (error instanceof WorkerDeath) {
        throw new RefusedModel(`the model cannot be loaded: ${error.message}`, { cause: error });
      }
      this.#keep(worker);
      throw error;
    } finally {
      clearTimeout(limit);
    }
  }

  async #spare(): Promise<WorkerProcess> {
    const spare = this.#spares.pop();
    if (spare?.alive === true) return spare;
    const worker = new WorkerProcess(this.#command);
    this.#workers.add(worker);
    void worker.ended.then(() => this.#workers.delete(worker));
    await worker.ready.catch((error: unknown) => {
      if (this.#closed) throw closingError();
      throw new Error(`no worker could be started to load the model: ${messageOf(error)}`, { cause: error });
    });
    return worker;
  }

  #keep(worker: WorkerProcess): void {
    this.#spares.push(worker);
    setTimeout(() => {
      const at = this.#spares.indexOf(worker);
      if (at < 0) return;
      this.#spares.splice(at, 1);
      worker.kill();
    }, SPARE_KEPT_MS).unref();
  }
}
