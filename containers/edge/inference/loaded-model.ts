import type { CachePolicy, TensorSpec } from '../../../lib/core/manifest';
import { modelTag, modelVersionTag } from '../../../lib/core/tags';
import { messageOf, ServiceError } from '../errors';
import type { OnnxSession } from './onnx-session';
import { concatenate, splitRows, type Tensor } from './tensors';

/** What a loaded model is made of. */
export interface LoadedModelParts {
  readonly name: string;
  readonly version: string;
  /** Lower-case hex SHA-256 of the ONNX file. */
  readonly sha256: string;
  readonly cache: CachePolicy;
  readonly session: OnnxSession;
  /** Whether rows may be run together: see `canRunRowsTogether`. */
  readonly batchable: boolean;
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
  readonly #session: OnnxSession;
  readonly #batchable: boolean;
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
    this.#batchable = parts.batchable;
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

  /** Runs one request; the caller holds a lease. Throws a ServiceError when ONNX Runtime fails. */
  async run(inputs: readonly Tensor[]): Promise<Tensor[]> {
    try {
      return await this.#session.run(inputs);
    } catch (error) {
      throw new ServiceError('inference_failed', `model ${this.name} version ${this.version}: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }

  /** Runs rows, each the model's only input with a first axis of 1: together where the model allows it. */
  async runRows(rows: readonly Tensor[]): Promise<Tensor[][]> {
    const [first, ...others] = rows;
    if (first === undefined) return [];
    if (!this.#batchable || others.length === 0) return this.#runOneByOne(rows);
    const outputs = await this.run([concatenate([first, ...others])]);
    const columns = outputs.map(splitRows);
    return rows.map((_, row) => columns.flatMap((column) => column.slice(row, row + 1)));
  }

  async #runOneByOne(rows: readonly Tensor[]): Promise<Tensor[][]> {
    const outputs: Tensor[][] = [];
    for (const row of rows) outputs.push(await this.run([row]));
    return outputs;
  }

  #freeWhenIdle(): void {
    if (!this.#retired || this.#leases > 0) return;
    // Nobody is left to tell: a session that cannot be released costs memory, not an answer.
    void this.#session.release().catch(() => undefined);
  }
}
