import { messageOf, ServiceError } from '../../errors';
import type { Tensor } from '../tensors';
import { joinInputs, rowsOf, splitsInto } from './batch';
import type { Demand } from './demand';
import { Job } from './job';
import { LoadMeter } from './load-meter';
import type { ModelQueue } from './model-queue';
import { type SchedulerClock, systemClock } from './scheduler-clock';
import { type Flow, type Run, SlotPool } from './slot-pool';
import { ManyResults, OneResult, type RowOutcome } from './submissions';
import type { RunOptions, RunResult } from './types';

/** Pause between looks for waiting jobs whose deadline has passed while all slots were busy, ms. */
const SWEEP_MS = 25;

/**
 * Between requests and the slots that models run on. What arrives in one turn of the event loop, or while every slot
 * is busy, is run together as far as the model and the queue's limits allow (`ModelQueue`); no request waits while a
 * slot is idle. Which model runs next is `SlotPool`'s.
 *
 * When a run of several requests fails, each of them is run by itself, so that one bad row does not fail its
 * neighbours.
 */
export class Scheduler {
  readonly #clock: SchedulerClock;
  readonly #flows = new WeakMap<ModelQueue, Flow>();
  /** By what sessions share. */
  readonly #poolOf = new WeakMap<object, SlotPool>();
  /** Pools that have worked since the last sample of the load. */
  readonly #pools = new Set<SlotPool>();
  readonly #meter: LoadMeter;
  #utilisationsAt: number;
  #isSweeping = false;

  constructor(clock: SchedulerClock = systemClock()) {
    this.#clock = clock;
    this.#utilisationsAt = clock.now();
    this.#meter = new LoadMeter(
      { utilisations: (now) => this.#utilisations(now), fullness: () => this.#fullness() },
      this.#utilisationsAt,
    );
  }

  /**
   * Runs one request, whose rows stay together. Rejects with a ServiceError: `overloaded`, `deadline_exceeded`,
   * `client_closed_request` when nobody waited any more when its turn had come, or as the session's `run`.
   */
  run(queue: ModelQueue, inputs: readonly Tensor[], demand: Demand): Promise<Tensor[]> {
    return new Promise((resolve, reject) => {
      const submission = new OneResult(resolve, reject);
      this.#submit(queue, [new Job(submission, 0, queue.ordered(inputs), demand)]);
    });
  }

  /**
   * Runs rows, each the inputs of a request of its own with its own demand; they are queued or refused as a whole, and
   * fare each by itself from then on. Rejects as `run` when they are refused.
   */
  runRows(
    queue: ModelQueue,
    rows: readonly (readonly Tensor[])[],
    demandOfRow: (index: number) => Demand,
  ): Promise<RowOutcome[]> {
    if (rows.length === 0) return Promise.resolve([]);
    return new Promise((resolve) => {
      const submission = new ManyResults(rows.length, resolve);
      const jobs = rows.map((inputs, i) => new Job(submission, i, queue.ordered(inputs), demandOfRow(i)));
      this.#submit(queue, jobs);
    });
  }

  /** How loaded the process is, 0 to 1: see `LoadMeter`. */
  get load(): number {
    return this.#meter.load;
  }

  /** Brings `load` up to date; to be called about once a second. */
  sampleLoad(): void {
    this.#meter.sample(this.#clock.now());
  }

  /** Throws, before anything is queued, when the queue refuses them. */
  #submit(queue: ModelQueue, jobs: readonly Job[]): void {
    const flow = this.#flowOf(queue);
    queue.admit(jobs, this.#clock.now());
    const { pool } = flow;
    this.#pools.add(pool);
    pool.backlogged(flow);
    if (pool.hasRoomFor(flow)) this.#lookForWorkSoon(pool);
    else this.#sweepSoon();
  }

  #flowOf(queue: ModelQueue): Flow {
    const known = this.#flows.get(queue);
    if (known !== undefined) return known;
    const owner = queue.session.pool ?? queue.session;
    let pool = this.#poolOf.get(owner);
    if (pool === undefined) {
      pool = new SlotPool();
      this.#poolOf.set(owner, pool);
    }
    const flow = pool.join(queue);
    this.#flows.set(queue, flow);
    return flow;
  }

  #lookForWorkSoon(pool: SlotPool): void {
    if (pool.isDeferred) return;
    pool.isDeferred = true;
    this.#clock.endOfTurn(() => {
      pool.isDeferred = false;
      this.#fillSlots(pool);
    });
  }

  #fillSlots(pool: SlotPool): void {
    for (let flow = pool.next(); flow !== undefined; flow = pool.next()) {
      if (!pool.hasRoomFor(flow)) {
        this.#sweepSoon();
        return;
      }
      const now = this.#clock.now();
      const jobs = flow.queue.take(now, pool.shareOfSlots());
      if (flow.queue.isEmpty) pool.drained(flow);
      if (jobs.length > 0) this.#begin(pool.begin(flow, jobs, now));
    }
  }

  #begin(run: Run): void {
    const { flow, jobs, rows } = run;
    const [first] = jobs;
    if (first === undefined) return;
    let { inputs } = first;
    if (jobs.length > 1) {
      inputs = joinInputs(
        jobs.map((job) => job.inputs),
        rows,
      );
      run.joinMs = this.#clock.now() - run.beganAt;
    }
    runSafely(flow.queue, inputs, optionsOf(jobs)).then(
      (result) => this.#ended(run, result, undefined),
      (error: unknown) => this.#ended(run, undefined, error),
    );
  }

  #ended(run: Run, result: RunResult | undefined, error: unknown): void {
    const { flow, jobs } = run;
    const { pool } = flow;
    const now = this.#clock.now();
    pool.end(run, result?.computeMs ?? now - run.beganAt, now);
    const isUsable = result !== undefined && (jobs.length === 1 || splitsInto(result.outputs, run.rows));
    if (isUsable) this.#succeeded(run, result);
    else this.#failed(run, error ?? new Error('the model gave another number of rows than it was asked'), now);
    // What waited while this slot was busy, at once and as one: no need to wait for the end of the turn.
    this.#fillSlots(pool);
  }

  #succeeded(run: Run, { outputs, computeMs, inputMs = 0, outputMs = 0 }: RunResult): void {
    const { flow, jobs, rows, elements, beganAt, joinMs } = run;
    const { queue } = flow;
    const { statistics } = queue;
    queue.cost.observe(elements, computeMs);
    queue.learn(jobs, true);
    const times = { inputMs: joinMs + inputMs, computeMs, outputMs };
    statistics.ran(rows, jobs.length, times, this.#clock.wallClock());
    if (jobs.length === 1) {
      const [job] = jobs;
      if (job === undefined) return;
      statistics.queue.add(beganAt - job.queuedAt);
      job.submission.succeed(job, outputs);
      return;
    }
    const part = rowsOf(outputs);
    let from = 0;
    for (const job of jobs) {
      statistics.queue.add(beganAt - job.queuedAt);
      job.submission.succeed(job, part(from, job.rows));
      from += job.rows;
    }
  }

  #failed({ flow, jobs }: Run, thrown: unknown, now: number): void {
    const { queue } = flow;
    const error = asRunError(queue, thrown);
    queue.learn(jobs, false);
    // A model that cannot run at all now (quarantined, closing) is not to blame on one of them.
    const mayRetry = jobs.length > 1 && error.code !== 'model_not_ready';
    const retried = mayRetry ? jobs.filter((job) => now < job.demand.deadline) : [];
    for (const job of jobs) {
      if (retried.includes(job)) continue;
      job.demand.close();
      job.submission.fail(job, error);
    }
    if (retried.length === 0) return;
    queue.retry(retried);
    flow.pool.backlogged(flow);
  }

  /** While every slot is busy nothing else looks at deadlines. */
  #sweepSoon(): void {
    if (this.#isSweeping) return;
    this.#isSweeping = true;
    this.#clock.after(SWEEP_MS, () => {
      this.#isSweeping = false;
      const now = this.#clock.now();
      for (const pool of this.#pools) {
        for (const flow of [...pool.flows]) {
          flow.queue.dropUseless(now);
          if (flow.queue.isEmpty) pool.drained(flow);
          else this.#sweepSoon();
        }
      }
    });
  }

  *#utilisations(now: number): Iterable<number> {
    const elapsed = now - this.#utilisationsAt;
    this.#utilisationsAt = now;
    yield this.#clock.loopUtilisation();
    for (const pool of this.#pools) {
      yield pool.takeBusyMs(now) / (elapsed * pool.slots);
      // A pool is kept for as long as its sessions are, by them; here, while it has something to say.
      if (pool.isIdle) this.#pools.delete(pool);
    }
  }

  #fullness(): number {
    let fullest = 0;
    for (const pool of this.#pools) {
      for (const { queue } of pool.flows) fullest = Math.max(fullest, queue.fullness);
    }
    return fullest;
  }
}

/** A deadline only where nobody wants the answer after it. Demands were asked already whether they are wanted. */
function optionsOf(jobs: readonly Job[]): RunOptions {
  let deadline = Number.NEGATIVE_INFINITY;
  for (const job of jobs) deadline = Math.max(deadline, job.demand.deadline);
  return deadline === Number.POSITIVE_INFINITY ? NO_OPTIONS : { deadline };
}

const NO_OPTIONS: RunOptions = {};

function runSafely({ session }: ModelQueue, inputs: readonly Tensor[], options: RunOptions): Promise<RunResult> {
  try {
    return session.run(inputs, options);
  } catch (error) {
    return Promise.reject(error);
  }
}

function asRunError({ label }: ModelQueue, thrown: unknown): ServiceError {
  if (thrown instanceof ServiceError) return thrown;
  return new ServiceError('inference_failed', `${label}: ${messageOf(thrown)}`, { cause: thrown });
}
