/** Bounds of one model version's queue and of its batches. */
export interface QueueLimits {
  /** Rows run together at most; a single request with more runs alone. 1 turns micro-batching off. */
  readonly maxBatchRows: number;
  /**
   * Time a batch may take, ms. It bounds what a request waits for its neighbours, and how long the service's own thread
   * is held up. Longer are a single request that takes longer, and a batch that takes less than twice the fixed cost of
   * a run before its last request: up to there, running together saves more than it delays.
   */
  readonly maxBatchMs: number;
  /** Bytes of input run together at most. */
  readonly maxBatchBytes: number;
  /** Requests that may wait; one more is refused. */
  readonly maxQueuedRequests: number;
  /** Rows that may wait. A request of more is taken into an empty queue. */
  readonly maxQueuedRows: number;
  /** Bytes of input that may wait. */
  readonly maxQueuedBytes: number;
}

const MIB = 1024 * 1024;

/** Limits of a model that states none. */
export const QUEUE_LIMITS: QueueLimits = {
  maxBatchRows: 128,
  maxBatchMs: 10,
  maxBatchBytes: 16 * MIB,
  maxQueuedRequests: 1_024,
  maxQueuedRows: 16_384,
  maxQueuedBytes: 64 * MIB,
};
