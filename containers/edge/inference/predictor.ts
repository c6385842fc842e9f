import { predictionKey } from '../../../lib/core/prediction-key';
import type { CacheAnswer, EdgeCache, Filled } from '../cache/types';
import type { LoadedModel } from './loaded-model';
import { encodePrediction, PREDICTION_BODY_FORMAT } from './prediction-body';
import { type Tensor, tensorBytes } from './tensors';

/** Answers predictions from the cache, computing what it does not hold. The caller holds a lease of the model. */
export class Predictor {
  readonly #cache: EdgeCache;

  constructor(cache: EdgeCache) {
    this.#cache = cache;
  }

  /** One request of any shape. The answer's body is as `prediction-body.ts` describes. */
  predict(model: LoadedModel, inputs: readonly Tensor[]): Promise<CacheAnswer> {
    return this.#cache.getOrFill(keyOf(model, inputs), async () => filled(model, await model.run(inputs)));
  }

  /** Many rows of a model's only input, each cached by itself; rows that are not cached are run together. */
  predictRows(model: LoadedModel, rows: readonly Tensor[]): Promise<CacheAnswer[]> {
    return this.#cache.getOrFillMany(
      rows.map((row) => keyOf(model, [row])),
      async (indexes) => {
        const missing = indexes.flatMap((index) => rows.slice(index, index + 1));
        const outputs = await model.runRows(missing);
        return outputs.map((outputsOfRow) => filled(model, outputsOfRow));
      },
    );
  }
}

function filled(model: LoadedModel, outputs: readonly Tensor[]): Filled {
  return { body: encodePrediction(outputs), tags: model.tags, ttlMs: model.cache.ttlSeconds * 1000 };
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
