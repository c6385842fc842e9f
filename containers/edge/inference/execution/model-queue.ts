import { ServiceError } from '../../errors';
import type { ModelStatistics } from '../model-statistics';
import type { Tensor } from '../tensors';
import { groupOf, inSignatureOrder } from './batch';
import { CostModel } from './cost-model';
import { FailedBatch, type Job, JobList } from './job';
import type { QueueLimits } from './queue-limits';
import type { RunnableSession } from './types';

/** What a queue is made of. */
export interface ModelQueueParts {
  /** As error messages name it: `model NAME version V`. */
  readonly label: string;
  readonly session: RunnableSession;
  /** Whether rows may be run together. */
  readonly batchable: boolean;
  readonly limits: QueueLimits;
  readonly statistics: ModelStatistics;
}

/** Jobs that no batch takes: their model is not batchable, their inputs disagree on rows, or their batch has failed. */
const ALONE = '';

/** Sizes that are equal but for the rounding of the line through them. */
const ROUNDING = 1 + 1e-9;

/** Rows by which a batch may be larger after each run with success: a batch too large is tried again after 16 runs. */
const REGROWTH = 1 / 16;

/** Longest pause that a refused client is told, seconds: by then the queue is another. */
const MAX_RETRY_SECONDS = 30;

/** The requests of one model version that wait for a slot, bounded, by inner shape; decides what is run together. */
export class ModelQueue {
  readonly label: string;
  readonly session: RunnableSession;
  readonly statistics: ModelStatistics;
  readonly cost = new CostModel();
  readonly #batchable: boolean;
  readonly #limits: QueueLimits;
  readonly #groups = new Map<string, JobList>();
  /** Rows that a batch may have now: fewer than the limit after a batch that was too large, and growing back. */
  #batchRows: number;
  #sequence = 0;
  #requests = 0;
  #jobs = 0;
  #rows = 0;
  #elements = 0;
  #bytes = 0;

  constructor({ label, session, batchable, limits, statistics }: ModelQueueParts) {
    this.label = label;
    this.session = session;
    this.statistics = statistics;
    this.#batchable = batchable;
    this.#limits = limits;
    this.#batchRows = limits.maxBatchRows;
  }

  /** Requests that wait. */
  get waitingRequests(): number {
    return this.#requests;
  }

  get isEmpty(): boolean {
    return this.#jobs === 0;
  }

  /** How full the queue is by the fullest of its bounds, 0 to 1. */
  get fullness(): number {
    const { maxQueuedRequests, maxQueuedRows, maxQueuedBytes } = this.#limits;
    const fullest = Math.max(
      this.#requests / maxQueuedRequests,
      this.#rows / maxQueuedRows,
      this.#bytes / maxQueuedBytes,
    );
    return Math.min(1, fullest);
  }

  /** Time that what waits is expected to take one slot, ms. */
  get backlogMs(): number {
    const runs = this.#batchable ? Math.ceil(this.#rows / this.#batchRows) : this.#jobs;
    return runs * this.cost.fixedMs + this.cost.marginalMs(this.#elements);
  }

  /**
   * Time that the next run is expected to take, ms, where it is of one request because the model cannot run rows
   * together; infinite where it is not known, or where waiting for a slot makes a larger batch.
   */
  get soloMs(): number {
    if (this.#batchable || !this.cost.isKnown) return Number.POSITIVE_INFINITY;
    const next = this.#groups.get(ALONE)?.peek();
    return next === undefined ? Number.POSITIVE_INFINITY : this.cost.predictMs(next.elements);
  }

  /** Inputs as jobs carry them. */
  ordered(inputs: readonly Tensor[]): readonly Tensor[] {
    return inSignatureOrder(this.session.inputs, inputs);
  }

  /**
   * Takes in the jobs of one submission. Throws a ServiceError when they find the queue full (`overloaded`, with the
   * time after which to try again), or when their deadline would pass even if nothing but this queue were served
   * (`deadline_exceeded`).
   */
  admit(jobs: readonly Job[], now: number): void {
    const [first] = jobs;
    if (first === undefined) return;
    if (!this.#hasRoomFor(jobs)) this.dropUseless(now);
    if (!this.#hasRoomFor(jobs)) throw this.#overloaded();
    // Never more than the wait will be: how well what waits can be run together is only known afterwards.
    const waitMs = (this.#batchable ? this.cost.marginalMs(this.#elements) : this.backlogMs) / this.session.slots;
    if (now + waitMs + this.cost.predictMs(first.elements) > first.demand.deadline) throw this.#tooLate();
    first.submission.waiting = jobs.length;
    this.#requests += 1;
    for (const job of jobs) this.#enqueue(job, now);
  }

  /** Puts jobs of a failed batch back, in front of what would be batched, each to be run by itself. */
  retry(jobs: readonly Job[]): void {
    this.statistics.failedBatches += 1;
    const batch = new FailedBatch(jobs);
    for (const job of jobs) {
      job.failedBatch = batch;
      if (job.submission.waiting === 0) this.#requests += 1;
      job.submission.waiting += 1;
      this.#count(job, 1);
      this.#listOf(ALONE).push(job);
    }
  }

  /**
   * The jobs to be run next as one: the one that waits longest, and as many behind it of its inner shape as keep the
   * batch within its bounds and every deadline of the batch. With `slots` above 1 it takes only its part of what waits
   * where more slots than one can have it and a part is worth a run of its own. Empty when nothing is left.
   */
  take(now: number, slots: number): Job[] {
    for (;;) {
      const list = this.#oldestList();
      if (list === undefined) return [];
      const batch = this.#takeFrom(list, now, slots);
      if (batch.length > 0) return batch;
    }
  }

  /** Drops the jobs that nobody waits for and those whose deadline cannot be met any more. */
  dropUseless(now: number): void {
    for (const list of this.#groups.values()) {
      for (const job of list.remove((each) => this.#whyUseless(each, now) !== undefined)) this.#drop(job, now);
    }
  }

  /** What a run of these jobs, which `take` gave, teaches about how large batches may be. */
  learn(jobs: readonly Job[], succeeded: boolean): void {
    if (succeeded) this.#batchRows = Math.min(this.#limits.maxBatchRows, this.#batchRows + REGROWTH);
    const [first] = jobs;
    const batch = first?.failedBatch;
    if (batch?.wasTooLarge(succeeded) === true) this.#batchRows = Math.max(1, batch.rows >> 1);
  }

  #takeFrom(list: JobList, now: number, slots: number): Job[] {
    const batch: Job[] = [];
    const { maxBatchMs, maxBatchBytes } = this.#limits;
    const mayBatch = list !== this.#groups.get(ALONE) && this.cost.isKnown;
    const worthwhile = this.#worthwhileElements();
    const most = this.#mostElements(maxBatchMs, slots, worthwhile);
    let [rows, elements, bytes, deadline] = [0, 0, 0, Number.POSITIVE_INFINITY];
    for (let job = list.peek(); job !== undefined; job = list.peek()) {
      if (this.#whyUseless(job, now) !== undefined) {
        list.shift();
        this.#drop(job, now);
        continue;
      }
      deadline = Math.min(deadline, job.demand.deadline);
      const fits =
        rows + job.rows <= this.#batchRows &&
        bytes + job.bytes <= maxBatchBytes &&
        (elements + job.elements <= most || elements <= worthwhile) &&
        now + this.cost.predictMs(elements + job.elements) <= deadline;
      if (batch.length > 0 && !fits) break;
      list.shift();
      this.#leave(job);
      batch.push(job);
      rows += job.rows;
      elements += job.elements;
      bytes += job.bytes;
      if (!mayBatch) break;
    }
    return batch;
  }

  /** Elements up to which one request more saves about as much as it costs: a run of them takes twice its fixed cost. */
  #worthwhileElements(): number {
    return this.cost.elementsWithin(2 * this.cost.fixedMs) * ROUNDING;
  }

  /**
   * Elements that a batch may have: those that take `maxMs`; of what waits, the part of one slot out of `slots`, unless
   * that is so little that its fixed cost outweighs it.
   */
  #mostElements(maxMs: number, slots: number, worthwhile: number): number {
    const most = this.cost.elementsWithin(maxMs);
    return slots > 1 ? Math.min(most, Math.max(Math.ceil(this.#elements / slots), worthwhile)) : most;
  }

  #oldestList(): JobList | undefined {
    const retries = this.#groups.get(ALONE)?.peek();
    if (retries?.failedBatch !== undefined) return this.#groups.get(ALONE);
    let oldest: JobList | undefined;
    let sequence = Number.POSITIVE_INFINITY;
    for (const [group, list] of this.#groups) {
      const job = list.peek();
      if (job === undefined) {
        // Inner shapes are the clients' choice: names of groups must not pile up.
        if (this.#groups.size > 1) this.#groups.delete(group);
      } else if (job.sequence < sequence) {
        sequence = job.sequence;
        oldest = list;
      }
    }
    return oldest;
  }

  #enqueue(job: Job, now: number): void {
    this.#sequence += 1;
    job.sequence = this.#sequence;
    job.queuedAt = now;
    this.#count(job, 1);
    const group = this.#batchable ? (groupOf(job.inputs) ?? ALONE) : ALONE;
    this.#listOf(group).push(job);
  }

  #listOf(group: string): JobList {
    let list = this.#groups.get(group);
    if (list === undefined) {
      list = new JobList();
      this.#groups.set(group, list);
    }
    return list;
  }

  #leave(job: Job): void {
    this.#count(job, -1);
    job.submission.waiting -= 1;
    if (job.submission.waiting === 0) this.#requests -= 1;
  }

  #count(job: Job, sign: 1 | -1): void {
    this.#jobs += sign;
    this.#rows += sign * job.rows;
    this.#elements += sign * job.elements;
    this.#bytes += sign * job.bytes;
  }

  #hasRoomFor(jobs: readonly Job[]): boolean {
    if (this.isEmpty) return true;
    const { maxQueuedRequests, maxQueuedRows, maxQueuedBytes } = this.#limits;
    let [rows, bytes] = [this.#rows, this.#bytes];
    for (const job of jobs) {
      rows += job.rows;
      bytes += job.bytes;
    }
    return this.#requests < maxQueuedRequests && rows <= maxQueuedRows && bytes <= maxQueuedBytes;
  }

  #whyUseless(job: Job, now: number): 'abandoned' | 'late' | undefined {
    if (!job.demand.isWanted()) return 'abandoned';
    return now + this.cost.predictMs(job.elements) > job.demand.deadline ? 'late' : undefined;
  }

  /** Gives up a job that has been taken off its list. */
  #drop(job: Job, now: number): void {
    const why = this.#whyUseless(job, now);
    this.#leave(job);
    job.demand.close();
    if (why === 'late') {
      job.submission.fail(job, this.#tooLate());
      return;
    }
    this.statistics.abandoned += 1;
    job.submission.fail(job, new ServiceError('client_closed_request', `${this.label}: nobody waits for it any more`));
  }

  #tooLate(): ServiceError {
    this.statistics.deadlineExceeded += 1;
    return new ServiceError('deadline_exceeded', `${this.label}: cannot be answered before its deadline`);
  }

  #overloaded(): ServiceError {
    this.statistics.overloaded += 1;
    const drainedMs = this.backlogMs / this.session.slots;
    const retryAfterSeconds = Math.min(MAX_RETRY_SECONDS, Math.max(1, Math.ceil(drainedMs / 1000)));
    return new ServiceError(
      'overloaded',
      `${this.label}: ${this.#requests} requests with ${this.#rows} rows are waiting already; try again later`,
      { retryAfterSeconds },
    );
  }
}
