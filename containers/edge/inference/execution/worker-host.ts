import type { Logger } from '../../control/types';
import { messageOf, ServiceError } from '../../errors';
import type { Tensor } from '../tensors';
import { Quarantine, type QuarantineLimits } from './quarantine';
import { closingError } from './run-errors';
import { Trials } from './trials';
import type { ExecutionCounts, ModelFile, RunnableSession, RunOptions, RunResult, SessionHost } from './types';
import type { WorkerCommand } from './worker-command';
import { ModelFailure, WorkerDeath, type WorkerProcess } from './worker-process';
import { type RunLimits, WorkerRun } from './worker-run';
import { type SessionOwner, WorkerSession } from './worker-session';
import { WorkerSlot } from './worker-slot';

/** What a host of workers works with. */
export interface WorkerHostConfig {
  readonly workers: number;
  readonly command: WorkerCommand;
  readonly limits: RunLimits & {
    /** Longest that a model may take to load, ms. */
    readonly loadMs: number;
  };
  readonly quarantine: QuarantineLimits;
  /** How long workers are kept when no model is open, ms. */
  readonly idleMs: number;
  readonly log: Logger;
}

/** A model to be loaded before a run asks for it; in several lists, the first worker that is idle has it. */
interface Preload {
  readonly session: WorkerSession;
  isTaken: boolean;
  /** Called when it is loaded, or will not be. */
  readonly ended: () => void;
}

/**
 * Runs models in worker processes, one run at a time in each. A run waits until a worker is idle, first come first
 * served, and goes to one that has its model loaded where there is one. Whatever a model does to its worker, only the
 * run that did it is lost.
 */
export class WorkerHost implements SessionHost, SessionOwner {
  readonly #config: WorkerHostConfig;
  readonly #slots: readonly WorkerSlot[];
  readonly #trials: Trials;
  readonly #sessions = new Set<WorkerSession>();
  readonly #waiting: WorkerRun[] = [];
  /** Models to be loaded into a slot's worker as soon as it is idle. */
  readonly #preloads = new Map<WorkerSlot, Preload[]>();
  readonly #deaths = new Map<string, number>();
  readonly #timeouts = { request: 0, host: 0 };
  #kills = 0;
  #restarts = 0;
  #lastNumber = 0;
  #idle: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(config: WorkerHostConfig) {
    this.#config = config;
    this.#trials = new Trials(config.command, config.limits.loadMs, config.workers);
    const owner = {
      command: config.command,
      log: config.log,
      onReady: () => this.#dispatch(),
      onDeath: (_slot: WorkerSlot, death: WorkerDeath) => this.#died(death),
      onRestart: () => {
        this.#restarts += 1;
      },
    };
    this.#slots = Array.from({ length: config.workers }, () => new WorkerSlot(owner));
  }

  async open(file: ModelFile): Promise<RunnableSession> {
    if (this.#closed) throw closingError();
    this.#lastNumber += 1;
    const number = this.#lastNumber;
    const { signature, worker } = await this.#trials.load(number, file);
    if (this.#closed) throw closingError();
    const quarantine = new Quarantine(this.#config.quarantine);
    const session = new WorkerSession(this, number, file, signature, this.#slots.length, quarantine);
    this.#sessions.add(session);
    clearTimeout(this.#idle);
    this.#settle(worker, number);
    await this.#loadInOne(session);
    return session;
  }

  run(session: WorkerSession, inputs: readonly Tensor[], options: RunOptions): Promise<RunResult> {
    if (this.#closed) throw closingError();
    options.signal?.throwIfAborted();
    const entry = session.quarantine.enter();
    if (typeof entry === 'string') throw new ServiceError('model_not_ready', `${session.label}: ${entry}`);
    const run = new WorkerRun(session, inputs, entry, options, this.#config.limits, (overrun) => {
      this.#timeouts[overrun] += 1;
    });
    this.#waiting.push(run);
    this.#dispatch();
    if (!run.started) run.wait();
    return run.result;
  }

  spread(session: WorkerSession): void {
    for (const slot of this.#slots) this.#putOff(slot, { session, isTaken: false, ended: () => undefined });
    this.#dispatch();
  }

  forget(session: WorkerSession): void {
    this.#sessions.delete(session);
    for (const slot of this.#slots) slot.worker?.release(session.number);
    if (this.#sessions.size > 0 || this.#closed) return;
    this.#idle = setTimeout(() => {
      for (const slot of this.#slots) void slot.stop();
    }, this.#config.idleMs).unref();
  }

  counts(): ExecutionCounts {
    const quarantined = [...this.#sessions].filter(({ quarantine }) => quarantine.active);
    return {
      workers: { wanted: this.#slots.length, ready: this.#slots.filter(({ worker }) => worker !== undefined).length },
      waiting: this.#waiting.filter(({ settled }) => !settled).length,
      deaths: Object.fromEntries(this.#deaths),
      kills: this.#kills,
      restarts: this.#restarts,
      timeouts: { ...this.#timeouts },
      quarantined: quarantined.map(({ file }) => `${file.model}@${file.version}`),
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#idle);
    for (const run of this.#waiting.splice(0)) run.fail(closingError());
    for (const preload of [...this.#preloads.values()].flat()) preload.ended();
    this.#preloads.clear();
    await Promise.all([this.#trials.close(), ...this.#slots.map((slot) => slot.stop())]);
  }

  /** The worker of a trial has a place in the pool where one is empty. */
  #settle(worker: WorkerProcess, session: number): void {
    const empty = this.#slots.find(({ started }) => !started);
    if (empty === undefined) this.#trials.giveBack(worker, session);
    else empty.start(this.#trials.handOver(worker));
    for (const slot of this.#slots) slot.start();
  }

  /** Resolves when a worker has the model; where it could not be loaded, a run will try again and say what is wrong. */
  #loadInOne(session: WorkerSession): Promise<void> {
    if (this.#slots.some(({ worker }) => worker?.has(session.number) === true)) return Promise.resolve();
    return new Promise((ended) => {
      const preload = { session, isTaken: false, ended };
      for (const slot of this.#slots) this.#putOff(slot, preload);
      this.#dispatch();
    });
  }

  #putOff(slot: WorkerSlot, preload: Preload): void {
    const waiting = this.#preloads.get(slot);
    if (waiting === undefined) this.#preloads.set(slot, [preload]);
    else waiting.push(preload);
  }

  #nextPreload(slot: WorkerSlot): Preload | undefined {
    const waiting = this.#preloads.get(slot);
    let next = waiting?.shift();
    while (next?.isTaken === true) next = waiting?.shift();
    return next;
  }

  #dispatch(): void {
    for (const slot of this.#slots) {
      const worker = slot.idleWorker;
      const preload = worker && this.#nextPreload(slot);
      if (worker !== undefined && preload !== undefined) void this.#preload(slot, worker, preload);
    }
    for (;;) {
      const run = this.#firstWaiting();
      const slot = run === undefined ? undefined : this.#idleSlotFor(run.session);
      if (run === undefined || slot?.idleWorker === undefined) return;
      this.#waiting.shift();
      void this.#serve(slot, slot.idleWorker, run);
    }
  }

  #firstWaiting(): WorkerRun | undefined {
    for (;;) {
      const [run] = this.#waiting;
      if (run === undefined || !run.settled) return run;
      run.session.quarantine.abandoned(run.entry);
      this.#waiting.shift();
    }
  }

  #idleSlotFor({ number }: WorkerSession): WorkerSlot | undefined {
    const idle = this.#slots.filter((slot) => slot.idleWorker !== undefined);
    return idle.find((slot) => slot.idleWorker?.has(number)) ?? idle[0];
  }

  async #serve(slot: WorkerSlot, worker: WorkerProcess, run: WorkerRun): Promise<void> {
    const { session, entry } = run;
    slot.busy = true;
    try {
      if (!worker.has(session.number)) await this.#load(worker, session);
      if (run.settled) {
        session.quarantine.abandoned(entry);
        return;
      }
      const result = await run.startIn(worker);
      session.quarantine.passed(entry);
      slot.ranWell();
      run.succeed(result);
    } catch (error) {
      if (this.#mayRepeat(error) && run.repeat()) {
        this.#waiting.unshift(run);
        return;
      }
      this.#judge(run, error);
      run.fail(this.#closed ? closingError() : failureOf(session, error));
    } finally {
      slot.busy = false;
      this.#dispatch();
    }
  }

  /** A worker that was gone before it got its run, which its process's end tells a moment later, says nothing of the run. */
  #mayRepeat(error: unknown): boolean {
    return error instanceof WorkerDeath && error.isBeforeCall && error.killedBecause === undefined && !this.#closed;
  }

  async #preload(slot: WorkerSlot, worker: WorkerProcess, preload: Preload): Promise<void> {
    const { session } = preload;
    preload.isTaken = true;
    slot.busy = true;
    try {
      if (this.#sessions.has(session) && !worker.has(session.number)) await this.#load(worker, session);
    } catch (error) {
      if (error instanceof WorkerDeath && !this.#closed) session.quarantine.strike({ isTrial: false }, error.message);
    } finally {
      preload.ended();
      slot.busy = false;
      this.#dispatch();
    }
  }

  async #load(worker: WorkerProcess, session: WorkerSession): Promise<void> {
    const { loadMs } = this.#config.limits;
    const limit = setTimeout(() => worker.kill(`it did not load within ${loadMs / 1000} s`), loadMs);
    try {
      await worker.open(session.number, session.file);
    } finally {
      clearTimeout(limit);
    }
    // Released meanwhile, when this worker did not have it yet.
    if (!this.#sessions.has(session)) worker.release(session.number);
  }

  /** Whether the model is to blame for how a run ended. */
  #judge({ session, entry, overrun }: WorkerRun, error: unknown): void {
    const { quarantine } = session;
    if (error instanceof ModelFailure) {
      quarantine.passed(entry);
      return;
    }
    // A client may set a deadline that no run can keep; that must not take the model away from the others.
    const ownDeadline = overrun === 'request' && (error as WorkerDeath).killedBecause !== undefined;
    if (!(error instanceof WorkerDeath) || ownDeadline || this.#closed) {
      quarantine.abandoned(entry);
      return;
    }
    const wasActive = quarantine.active;
    quarantine.strike(entry, error.message);
    if (!wasActive && quarantine.active) {
      this.#config.log.error(
        { ...named(session), reason: error.message },
        'model quarantined: it keeps ending workers',
      );
    }
  }

  #died(death: WorkerDeath): void {
    if (death.killedBecause === undefined) this.#deaths.set(death.how, (this.#deaths.get(death.how) ?? 0) + 1);
    else this.#kills += 1;
  }
}

function failureOf(session: WorkerSession, error: unknown): ServiceError {
  return new ServiceError('inference_failed', `${session.label}: ${messageOf(error)}`, { cause: error });
}

function named({ file }: WorkerSession): { model: string; version: string } {
  return { model: file.model, version: file.version };
}
