import { predictionKey } from '../../../lib/core/prediction-key';
import type { CacheAnswer, CacheEntry, EdgeCache, Filled } from '../cache/types';
import type { LoadedModel } from './loaded-model';
import { encodePrediction, PREDICTION_BODY_FORMAT } from './prediction-body';
import { type Tensor, tensorBytes } from './tensors';

/** Answers predictions from the cache, computing what it does not hold. The caller holds a lease of the model. */
export class Predictor {
  readonly #cache: EdgeCache;

  constructor(cache: EdgeCache) {
    this.#cache = cache;
  }

  /** The cache key of a prediction. */
  keyOf(model: LoadedModel, inputs: readonly Tensor[]): string {
    return keyOf(model, inputs);
  }

  /** The fresh and valid entry that this process holds in memory under a key, at once. */
  peek(key: string): CacheEntry | undefined {
    return this.#cache.peek(key);
  }

  /** One request of any shape. The answer's body is as `prediction-body.ts` describes. */
  predict(model: LoadedModel, inputs: readonly Tensor[]): Promise<CacheAnswer> {
    const fill = () => leased(model, async () => filled(model, await model.run(inputs)));
    return this.#cache.getOrFill(keyOf(model, inputs), fill, model.cache);
  }

  /** Many rows of a model's only input, each cached by itself; rows that are not cached are run together. */
  predictRows(model: LoadedModel, rows: readonly Tensor[]): Promise<CacheAnswer[]> {
    return this.#cache.getOrFillMany(
      rows.map((row) => keyOf(model, [row])),
      (indexes) =>
        leased(model, async () => {
          const missing = indexes.flatMap((index) => rows.slice(index, index + 1));
          const outputs = await model.runRows(missing);
          return outputs.map((outputsOfRow) => filled(model, outputsOfRow));
        }),
      model.cache,
    );
  }
}

/** A fill may outlast the request that began it: a stale answer does not wait for its refresh. */
async function leased<T>(model: LoadedModel, run: () => Promise<T>): Promise<T> {
  const release = model.lease();
  try {
    return await run();
  } finally {
    release();
  }
}

function filled(model: LoadedModel, outputs: readonly Tensor[]): Filled {
  const { ttlSeconds, staleWhileRevalidateSeconds = 0, staleIfErrorSeconds = 0 } = model.cache;
  return {
    body: encodePrediction(outputs),
    tags: model.tags,
    ttlMs: ttlSeconds * 1000,
    staleWhileRevalidateMs: staleWhileRevalidateSeconds * 1000,
    staleIfErrorMs: staleIfErrorSeconds * 1000,
  };
}

function keyOf(model: LoadedModel, inputs: readonly Tensor[]): string {
  // An input cannot have an empty name, so this adds to the key what produced the answer and how it is written:
  // a folder's model may be replaced under its version, and L1 and the disk outlive a deployment.
  const provenance = Buffer.from(`${PREDICTION_BODY_FORMAT} ${model.sha256}`);
  return predictionKey({
    model: model.name,
    version: model.version,
    inputs: [
      { name: '', datatype: 'BYTES', shape: [], bytes: provenance },
      ...inputs.map((input) => ({
        name: input.name,
        datatype: input.datatype,
        shape: input.shape,
        bytes: tensorBytes(input),
      })),
    ],
  });
}
