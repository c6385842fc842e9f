import type { CachePolicy, TensorSpec } from '../../../lib/core/manifest';
import { modelTag, modelVersionTag } from '../../../lib/core/tags';
import { ModelQueue } from './execution/model-queue';
import { QUEUE_LIMITS, type QueueLimits } from './execution/queue-limits';
import type { RunnableSession } from './execution/types';
import { ModelStatistics } from './model-statistics';
import { PredictionEncoder } from './prediction-body';
import type { Tensor } from './tensors';

/** What a loaded model is made of. */
export interface LoadedModelParts {
  readonly name: string;
  readonly version: string;
  /** Lower-case hex SHA-256 of the ONNX file. */
  readonly sha256: string;
  readonly cache: CachePolicy;
  readonly session: RunnableSession;
  /** Whether rows may be run together: see `canRunRowsTogether`. */
  readonly batchable: boolean;
  /** Bounds that differ from `QUEUE_LIMITS`. */
  readonly limits?: Partial<QueueLimits>;
}

/**
 * A model version in memory. It is freed when it has been retired and the last request that leased it is answered,
 * so that a swap fails no request.
 */
export class LoadedModel {
  readonly name: string;
  readonly version: string;
  readonly sha256: string;
  readonly cache: CachePolicy;
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  /** Tags of every prediction of this version. */
  readonly tags: readonly string[];
  /** What it has done so far. */
  readonly statistics = new ModelStatistics();
  /** Writes its answers as the cache keeps them. */
  readonly encoder = new PredictionEncoder();
  /** Its requests that wait for a slot; the scheduler's. */
  readonly queue: ModelQueue;
  readonly #session: RunnableSession;
  #leases = 0;
  #retired = false;

  constructor(parts: LoadedModelParts) {
    this.name = parts.name;
    this.version = parts.version;
    this.sha256 = parts.sha256;
    this.cache = parts.cache;
    this.inputs = parts.session.inputs;
    this.outputs = parts.session.outputs;
    const own = [modelTag(parts.name), modelVersionTag(parts.name, parts.version)];
    this.tags = [...new Set([...own, ...parts.cache.tags])];
    this.#session = parts.session;
    this.queue = new ModelQueue({
      label: `model ${parts.name} version ${parts.version}`,
      session: parts.session,
      batchable: parts.batchable,
      limits: { ...QUEUE_LIMITS, ...parts.limits },
      statistics: this.statistics,
    });
  }

  /** Keeps the model in memory until the returned function is called. Throws once a retired model has been freed. */
  lease(): () => void {
    if (this.#retired && this.#leases === 0)
      throw new Error(`version ${this.version} of model ${this.name} has been retired`);
    this.#leases += 1;
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#leases -= 1;
      this.#freeWhenIdle();
    };
  }

  /** Frees the model as soon as nobody leases it. */
  retire(): void {
    if (this.#retired) return;
    this.#retired = true;
    this.#freeWhenIdle();
  }

  /** Runs one request past the queue, for trials; the caller holds a lease. Rejects as the session's `run`. */
  async run(inputs: readonly Tensor[]): Promise<Tensor[]> {
    return (await this.#session.run(inputs)).outputs;
  }

  #freeWhenIdle(): void {
    if (!this.#retired || this.#leases > 0) return;
    // Nobody is left to tell: a session that cannot be released costs memory, not an answer.
    void this.#session.release().catch(() => undefined);
  }
}
