import { RefusedModel } from '../refused-model';
import type { ModelFile } from './types';
import type { WorkerCommand } from './worker-command';
import type { Signature } from './worker-loop';
import { WorkerDeath, WorkerProcess } from './worker-process';

/** How long a spare worker is kept for the next trial, ms. */
const SPARE_KEPT_MS = 10_000;
const TRIAL_SESSION = 0;

/**
 * Loads models for the first time, each in a worker that nothing else depends on: a file that crashes ONNX Runtime,
 * never ends to load or eats all memory takes nothing with it.
 */
export class Trials {
  readonly #command: WorkerCommand;
  readonly #loadLimitMs: number;
  readonly #atOnce: number;
  readonly #waiting: (() => void)[] = [];
  readonly #used = new Set<WorkerProcess>();
  readonly #spares: WorkerProcess[] = [];
  #running = 0;
  #closed = false;

  /** At most `atOnce` models are tried at once; one that has not loaded after `loadLimitMs` is refused. */
  constructor(command: WorkerCommand, loadLimitMs: number, atOnce: number) {
    this.#command = command;
    this.#loadLimitMs = loadLimitMs;
    this.#atOnce = atOnce;
  }

  /** The model's signature. Rejects with `RefusedModel` when it must not be served, and why. */
  async load(file: ModelFile): Promise<Signature> {
    if (this.#running >= this.#atOnce) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#running += 1;
    try {
      if (this.#closed) throw new Error('the service is stopping');
      return await this.#loadIn(this.#takeSpare(), file);
    } finally {
      // The place goes straight to the next who waits, so that nobody comes between.
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }

  /** Ends what is under way; resolves when no process is left. */
  async close(): Promise<void> {
    this.#closed = true;
    const workers = [...this.#used];
    for (const worker of workers) worker.kill('the service is stopping');
    await Promise.all(workers.map((worker) => worker.ended));
  }

  async #loadIn(worker: WorkerProcess, file: ModelFile): Promise<Signature> {
    const limit = setTimeout(
      () => worker.kill(`it did not load within ${this.#loadLimitMs / 1000} s`),
      this.#loadLimitMs,
    );
    try {
      await worker.ready;
      const signature = await worker.open(TRIAL_SESSION, file);
      worker.release(TRIAL_SESSION);
      this.#keep(worker);
      return signature;
    } catch (error) {
      if (!(error instanceof WorkerDeath)) this.#keep(worker);
      else if (!this.#closed) throw new RefusedModel(`the model cannot be loaded: ${error.message}`, { cause: error });
      throw error;
    } finally {
      clearTimeout(limit);
    }
  }

  #takeSpare(): WorkerProcess {
    const spare = this.#spares.pop();
    if (spare?.alive === true) return spare;
    const worker = new WorkerProcess(this.#command);
    this.#used.add(worker);
    void worker.ended.then(() => this.#used.delete(worker));
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
