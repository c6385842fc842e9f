/** How often something happened, and how long it took altogether. */
export class Duration {
  count = 0;
  /** Cumulative, ns. */
  ns = 0;

  /** Counts `times` events that took `ms` each. */
  add(ms: number, times = 1): void {
    this.count += times;
    this.ns += ms * 1e6 * times;
  }
}

/** The parts of one run, ms. */
export interface RunTimes {
  /** Bringing the inputs together and handing them to ONNX Runtime. */
  readonly inputMs: number;
  /** Inside ONNX Runtime. */
  readonly computeMs: number;
  /** Taking the outputs from it. */
  readonly outputMs: number;
}

/** How long runs took, by their parts. */
export class RunDurations {
  readonly input = new Duration();
  readonly infer = new Duration();
  readonly output = new Duration();

  /** Counts `times` events that took so long each. */
  add({ inputMs, computeMs, outputMs }: RunTimes, times = 1): void {
    this.input.add(inputMs, times);
    this.infer.add(computeMs, times);
    this.output.add(outputMs, times);
  }
}

/** Batch sizes up to this are counted each by itself; larger ones, which only single requests have, by power of two. */
const EXACT_BATCH_SIZES = 128;

/**
 * What one model version has done since it was loaded, in the terms of the statistics extension of the Open Inference
 * Protocol (https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_statistics.md): plain
 * numbers, added to for every request and read when somebody asks.
 */
export class ModelStatistics {
  /** Requests answered, whether from the cache or by a run; the time is the request's in predictor and queue. */
  readonly success = new Duration();
  /** Requests that failed: the model threw, the queue was full, or the deadline passed. */
  readonly fail = new Duration();
  /** Rows or requests that ran: the time each waited until its run began. */
  readonly queue = new Duration();
  /** Rows or requests that ran: the parts of the run each was part of. */
  readonly compute = new RunDurations();
  /** Look-ups that the cache answered. */
  readonly cacheHit = new Duration();
  /** Look-ups that it did not; the time is that of the whole request. */
  readonly cacheMiss = new Duration();
  /** Rows that were run with success; a request of 64 rows counts 64. */
  inferenceCount = 0;
  /** Runs of the model with success; fewer than inferences, where rows were run together. */
  executionCount = 0;
  /** Requests refused because the queue was full. */
  overloaded = 0;
  /** Requests dropped before a run because their deadline could not be met. */
  deadlineExceeded = 0;
  /** Requests dropped before a run because whoever waited had gone. */
  abandoned = 0;
  /** Batches that failed and whose requests were run again one by one. */
  failedBatches = 0;
  /** When a run last began, ms since 1970; 0 before the first. */
  lastInference = 0;
  /** Runs by their number of rows. */
  readonly batches = new Map<number, RunDurations>();

  /** Counts one run with success of `jobs` rows or requests that were queued. */
  ran(rows: number, jobs: number, times: RunTimes, wallClock: number): void {
    this.compute.add(times, jobs);
    this.executionCount += 1;
    this.inferenceCount += rows;
    this.lastInference = wallClock;
    const size = rows <= EXACT_BATCH_SIZES ? rows : 2 ** Math.ceil(Math.log2(rows));
    let batch = this.batches.get(size);
    if (batch === undefined) {
      batch = new RunDurations();
      this.batches.set(size, batch);
    }
    batch.add(times);
  }
}
