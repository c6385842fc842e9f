import type { ServiceError } from '../../errors';
import type { Tensor } from '../tensors';
import type { Entry } from './quarantine';
import { passedDeadlineError, runLimitError } from './run-errors';
import type { RunOptions, RunResult } from './types';
import type { WorkerProcess } from './worker-process';
import type { WorkerSession } from './worker-session';

/** How long runs may take. */
export interface RunLimits {
  /** Longest that a run may wait for a worker, and again that it may take there, ms. */
  readonly runMs: number;
  /** Time that a worker has to come back after its run was given up, ms; then it is killed. */
  readonly graceMs: number;
}

/** Whose limit ended a run. */
export type Overrun = 'request' | 'host';

/** One run, from the request to its end. Its promise is settled once; what happens in the worker may go on after that. */
export class WorkerRun {
  readonly result: Promise<RunResult>;
  /** Whose limit was passed, once one was. */
  overrun: Overrun | undefined;
  #settled = false;
  #resolve!: (result: RunResult) => void;
  #reject!: (error: unknown) => void;
  #timer: NodeJS.Timeout | undefined;
  #started = false;
  #isRepeated = false;

  constructor(
    readonly session: WorkerSession,
    readonly inputs: readonly Tensor[],
    readonly entry: Entry,
    private readonly options: RunOptions,
    private readonly limits: RunLimits,
    private readonly onOverrun: (overrun: Overrun) => void,
  ) {
    this.result = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** Whether the run has its answer, so that it need not begin any more. */
  get settled(): boolean {
    return this.#settled;
  }

  get started(): boolean {
    return this.#started;
  }

  /** Gives the run up when its deadline passes, or nobody wants it any more, before it has begun. */
  wait(): void {
    this.options.signal?.addEventListener('abort', this.#aborted, { once: true });
    this.#timer = setTimeout(() => this.#giveUp(), this.#leftMs());
  }

  /**
   * Makes the run wait for another worker, because the one that it was given to has not begun it; `false` where it has
   * its answer, or had its second worker already.
   */
  repeat(): boolean {
    if (this.#settled || this.#isRepeated) return false;
    this.#isRepeated = true;
    this.#stopWaiting();
    this.#started = false;
    this.wait();
    return true;
  }

  /** Runs in a worker. Rejects as the worker does, however this run was settled meanwhile. */
  async startIn(worker: WorkerProcess): Promise<RunResult> {
    this.#stopWaiting();
    this.#started = true;
    this.#timer = setTimeout(() => {
      this.#giveUp();
      this.#timer = setTimeout(() => worker.kill(this.#overrunError().message), this.limits.graceMs);
    }, this.#leftMs());
    try {
      return await worker.run(this.session.number, this.inputs, this.options.repeat);
    } finally {
      clearTimeout(this.#timer);
    }
  }

  succeed(result: RunResult): void {
    this.#settle();
    this.#resolve(result);
  }

  fail(error: unknown): void {
    this.#settle();
    this.#reject(error);
  }

  readonly #aborted = () => this.fail(this.options.signal?.reason);

  #giveUp(): void {
    const { deadline } = this.options;
    this.overrun = deadline !== undefined && deadline <= performance.now() + 1 ? 'request' : 'host';
    this.onOverrun(this.overrun);
    this.fail(this.#overrunError());
  }

  #overrunError(): ServiceError {
    const { label } = this.session;
    return this.overrun === 'request' ? passedDeadlineError(label) : runLimitError(label, this.limits.runMs);
  }

  #leftMs(): number {
    const { deadline = Number.POSITIVE_INFINITY } = this.options;
    // Timers count whole milliseconds, and one too early would find the deadline still ahead.
    return Math.ceil(Math.max(0, Math.min(deadline - performance.now(), this.limits.runMs)));
  }

  #settle(): void {
    this.#settled = true;
    if (!this.#started) this.#stopWaiting();
  }

  #stopWaiting(): void {
    clearTimeout(this.#timer);
    this.options.signal?.removeEventListener('abort', this.#aborted);
  }
}
