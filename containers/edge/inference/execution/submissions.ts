import type { Tensor } from '../tensors';
import type { Job, Submission } from './job';

/** What became of one row of a request. */
export type RowOutcome = { readonly outputs: Tensor[] } | { readonly error: unknown };

/** A request that is one job. */
export class OneResult implements Submission {
  waiting = 0;

  constructor(
    readonly resolve: (outputs: Tensor[]) => void,
    readonly reject: (error: unknown) => void,
  ) {}

  succeed(_job: Job, outputs: Tensor[]): void {
    this.resolve(outputs);
  }

  fail(_job: Job, error: unknown): void {
    this.reject(error);
  }
}

/** Rows that are a job each: settled when the last of them is. */
export class ManyResults implements Submission {
  waiting = 0;
  readonly #outcomes: RowOutcome[];
  #missing: number;

  constructor(
    count: number,
    readonly resolve: (outcomes: RowOutcome[]) => void,
  ) {
    this.#missing = count;
    this.#outcomes = new Array(count);
  }

  succeed(job: Job, outputs: Tensor[]): void {
    this.#settle(job, { outputs });
  }

  fail(job: Job, error: unknown): void {
    this.#settle(job, { error });
  }

  #settle(job: Job, outcome: RowOutcome): void {
    this.#outcomes[job.index] = outcome;
    this.#missing -= 1;
    if (this.#missing === 0) this.resolve(this.#outcomes);
  }
}
