import type { Tensor } from '../tensors';
import { bytesOf } from './batch';
import type { Demand } from './demand';

/** One request to a queue: it waits, and is refused, as a whole. */
export interface Submission {
  /** Its jobs that still wait. */
  waiting: number;
  succeed(job: Job, outputs: Tensor[]): void;
  fail(job: Job, error: unknown): void;
}

/** What is run whole: a request, or one row of a request whose rows are independent. */
export class Job {
  readonly rows: number;
  /** Elements over all inputs: the size by which its cost is reckoned. */
  readonly elements: number;
  readonly bytes: number;
  /** The batch that it was part of and that failed: it runs by itself now, so that no job fails for another. */
  failedBatch: FailedBatch | undefined;
  /** `now()` when it was queued, ms. */
  queuedAt = 0;
  /** Place among all jobs of its queue. */
  sequence = 0;

  constructor(
    readonly submission: Submission,
    /** Place within its submission. */
    readonly index: number,
    /** In the order of the signature. */
    readonly inputs: readonly Tensor[],
    readonly demand: Demand,
  ) {
    this.rows = inputs[0]?.shape[0] ?? 1;
    this.bytes = bytesOf(inputs);
    let elements = 0;
    for (const input of inputs) elements += input.data.length;
    this.elements = elements;
  }
}

/** A batch that failed, while its jobs are run one by one to tell whether one of them was to blame, or the size. */
export class FailedBatch {
  readonly rows: number;
  #left: number;
  #hasCulprit = false;

  constructor(jobs: readonly Job[]) {
    this.#left = jobs.length;
    this.rows = jobs.reduce((sum, job) => sum + job.rows, 0);
  }

  /** Takes in how one of its jobs fared alone; true when that was the last and all of them ran. */
  wasTooLarge(jobSucceeded: boolean): boolean {
    this.#left -= 1;
    if (!jobSucceeded) this.#hasCulprit = true;
    return this.#left === 0 && !this.#hasCulprit;
  }
}

/** First in, first out, with removal from the middle. Both ends cost the same however many wait. */
export class JobList {
  #jobs: Job[] = [];
  #first = 0;

  get length(): number {
    return this.#jobs.length - this.#first;
  }

  peek(): Job | undefined {
    return this.#jobs[this.#first];
  }

  push(job: Job): void {
    this.#jobs.push(job);
  }

  shift(): void {
    this.#first += 1;
    if (this.#first < 64 || this.#first * 2 < this.#jobs.length) return;
    this.#jobs = this.#jobs.slice(this.#first);
    this.#first = 0;
  }

  /** Takes out the jobs that `isLeaving` picks, and gives them, in order. */
  remove(isLeaving: (job: Job) => boolean): Job[] {
    const leaving: Job[] = [];
    const staying: Job[] = [];
    for (let i = this.#first; i < this.#jobs.length; i += 1) {
      const job = this.#jobs[i];
      if (job !== undefined) (isLeaving(job) ? leaving : staying).push(job);
    }
    this.#jobs = staying;
    this.#first = 0;
    return leaving;
  }
}
