import { type KeyTensor, predictionKey, predictionKeysByElements } from '../../../lib/core/prediction-key';
import type {
  AnswerReceiver,
  CacheAnswer,
  CacheEntry,
  EdgeCache,
  FillDemand,
  Filled,
  FillOutcome,
  Waiter,
} from '../cache/types';
import { demandOf } from './execution/demand';
import { Scheduler } from './execution/scheduler';
import type { RowOutcome } from './execution/submissions';
import type { LoadedModel } from './loaded-model';
import { PREDICTION_BODY_FORMAT } from './prediction-body';
import { sameShape, type Tensor, tensorBytes } from './tensors';

/** A prediction that is asked for. */
export interface WantedPrediction {
  readonly key: string;
  /** Asked only where no tier has the answer. */
  readonly inputs: () => readonly Tensor[];
  /** Whether the answer is to be JSON's: then its text is kept too. */
  readonly asText: boolean;
}

/**
 * Answers predictions from the cache, computing what it does not hold. The caller holds a lease of the model.
 *
 * Whether the one who waits has gone is looked at when a run is about to begin. Requests that
 * share a fill share its run: it is dropped only when the last of them has gone, and its deadline is their latest.
 * Predictions that must not be kept (`ttlSeconds` 0, as of a model that draws random numbers) go past the cache: each
 * request has a run of its own rows.
 */
export class Predictor {
  readonly #cache: EdgeCache;
  readonly #scheduler: Scheduler;

  constructor(cache: EdgeCache, scheduler: Scheduler = new Scheduler()) {
    this.#cache = cache;
    this.#scheduler = scheduler;
  }

  /** The cache key of a prediction. */
  keyOf(model: LoadedModel, inputs: readonly Tensor[]): string {
    return keyOf(model, inputs);
  }

  /**
   * The fresh and valid entry that this process holds in memory under a key, at once. A hit counts as a request that
   * was answered where `model`, whose key it is, is given.
   */
  peek(key: string, model?: LoadedModel): CacheEntry | undefined {
    const entry = this.#cache.peek(key);
    if (entry !== undefined && model !== undefined) {
      // Looking at the clock twice would take longer than the look-up.
      model.statistics.success.count += 1;
      model.statistics.cacheHit.count += 1;
    }
    return entry;
  }

  /**
   * One request of any shape. The answer's body is as `prediction-body.ts` describes, with the text that `predictionText`
   * gives where a fill is made for `asText`. Rejects with a ServiceError as `Scheduler.run`.
   */
  predict(model: LoadedModel, inputs: readonly Tensor[], waiter?: Waiter, asText = false): Promise<CacheAnswer> {
    const wanted: WantedPrediction = { key: keyOf(model, inputs), inputs: () => inputs, asText };
    return new Promise((answered, failed) => this.deliver(model, wanted, { answered, failed }, waiter));
  }

  /** As `predict`, for one who knows the key already and needs no promise. */
  deliver(model: LoadedModel, wanted: WantedPrediction, receiver: AnswerReceiver, waiter?: Waiter): void {
    const counting = new CountingReceiver(model, receiver);
    if (isKept(model)) {
      const fill = (demand: FillDemand) => this.#fill(model, wanted, demand);
      this.#cache.deliver(wanted.key, counting, fill, model.cache, waiter);
      return;
    }
    const asked = performance.now();
    this.#fill(model, wanted, demandOf(waiter))
      .then((made) => counting.answered(bypassing(made, performance.now() - asked)))
      .catch((error: unknown) => counting.failed(error));
  }

  /**
   * Many rows of a model's only input, each cached by itself; rows that are not cached are run together. Rejects when
   * any of them cannot be answered; the others are cached all the same.
   */
  async predictRows(model: LoadedModel, rows: readonly Tensor[], waiter?: Waiter): Promise<CacheAnswer[]> {
    const asked = performance.now();
    const { statistics } = model;
    try {
      const answers = isKept(model)
        ? await this.#cache.getOrFillMany(
            keysOfRows(model, rows),
            (indexes, demands) => this.#fillRows(model, rows, indexes, demands),
            model.cache,
            waiter,
          )
        : await this.#bypassRows(model, rows, waiter);
      const ms = performance.now() - asked;
      statistics.success.add(ms);
      for (const answer of answers) countLookUp(model, answer, ms);
      return answers;
    } catch (error) {
      statistics.fail.add(performance.now() - asked);
      throw error;
    }
  }

  /** A fill may outlast the request that began it: a stale answer does not wait for its refresh. */
  async #fill(model: LoadedModel, { inputs, asText }: WantedPrediction, demand: FillDemand): Promise<Filled> {
    const release = model.lease();
    try {
      return filled(model, await this.#scheduler.run(model.queue, inputs(), demand), asText);
    } finally {
      release();
    }
  }

  async #fillRows(
    model: LoadedModel,
    rows: readonly Tensor[],
    indexes: readonly number[],
    demands: readonly FillDemand[],
  ): Promise<FillOutcome[]> {
    const missing = indexes.map((index) => rows[index] as Tensor);
    const outcomes = await this.#runRows(model, missing, (i) => demands[i] ?? demandOf(undefined));
    return outcomes.map((outcome) => ('error' in outcome ? outcome : filled(model, outcome.outputs, true)));
  }

  async #bypassRows(model: LoadedModel, rows: readonly Tensor[], waiter: Waiter | undefined): Promise<CacheAnswer[]> {
    const asked = performance.now();
    const demand = demandOf(waiter);
    const outcomes = await this.#runRows(model, rows, () => demand);
    const ms = performance.now() - asked;
    return outcomes.map((outcome) => {
      if ('error' in outcome) throw outcome.error;
      return bypassing(filled(model, outcome.outputs, true), ms);
    });
  }

  async #runRows(
    model: LoadedModel,
    rows: readonly Tensor[],
    demandOfRow: (index: number) => FillDemand,
  ): Promise<RowOutcome[]> {
    const release = model.lease();
    try {
      return await this.#scheduler.runRows(
        model.queue,
        rows.map((row) => [row]),
        demandOfRow,
      );
    } finally {
      release();
    }
  }
}

/** Counts what its receiver gets. */
class CountingReceiver implements AnswerReceiver {
  readonly #model: LoadedModel;
  readonly #receiver: AnswerReceiver;
  readonly #asked = performance.now();

  constructor(model: LoadedModel, receiver: AnswerReceiver) {
    this.#model = model;
    this.#receiver = receiver;
  }

  answered(answer: CacheAnswer): void {
    const ms = performance.now() - this.#asked;
    this.#model.statistics.success.add(ms);
    countLookUp(this.#model, answer, ms);
    this.#receiver.answered(answer);
  }

  failed(reason: unknown): void {
    this.#model.statistics.fail.add(performance.now() - this.#asked);
    this.#receiver.failed(reason);
  }
}

function isKept({ cache }: LoadedModel): boolean {
  return cache.ttlSeconds > 0;
}

function countLookUp({ statistics }: LoadedModel, answer: CacheAnswer, ms: number): void {
  if (answer.tier !== 'origin') statistics.cacheHit.add(ms);
  else if (answer.bypassed !== true) statistics.cacheMiss.add(ms);
}

function bypassing({ body, tags }: Filled, ms: number): CacheAnswer {
  return {
    body,
    tags,
    tier: 'origin',
    collapsed: false,
    ageSeconds: 0,
    ttlSeconds: 0,
    stale: false,
    stored: false,
    bypassed: true,
    timings: [{ tier: 'origin', ms }],
  };
}

function filled(model: LoadedModel, outputs: readonly Tensor[], asText: boolean): Filled {
  const { ttlSeconds, staleWhileRevalidateSeconds = 0, staleIfErrorSeconds = 0 } = model.cache;
  return {
    body: model.encoder.encode(outputs, asText),
    tags: model.tags,
    ttlMs: ttlSeconds * 1000,
    staleWhileRevalidateMs: staleWhileRevalidateSeconds * 1000,
    staleIfErrorMs: staleIfErrorSeconds * 1000,
  };
}

function keyOf(model: LoadedModel, inputs: readonly Tensor[]): string {
  const [only] = inputs;
  if (only !== undefined && inputs.length === 1) return keyOfOne(model, only);
  const hashed: KeyTensor[] = [provenanceOf(model)];
  for (const input of inputs) {
    hashed.push({ name: input.name, datatype: input.datatype, shape: input.shape, bytes: tensorBytes(input) });
  }
  return predictionKey({ model: model.name, version: model.version, inputs: hashed });
}

/** What writes the keys of requests like the last one of a model. */
interface KeyWriter {
  readonly like: Tensor;
  readonly keyOfElements: (bytes: Uint8Array) => string;
}

const keyWriters = new WeakMap<LoadedModel, KeyWriter>();

/** As `keyOf`, of a model's only input: requests of one shape after the other share the start of what is hashed. */
function keyOfOne(model: LoadedModel, input: Tensor): string {
  let writer = keyWriters.get(model);
  if (writer === undefined || !isLike(writer.like, input)) {
    const { name, datatype } = input;
    const shape = input.shape.slice();
    const identity = { model: model.name, version: model.version, inputs: [provenanceOf(model)] };
    const keyOfElements = predictionKeysByElements(identity, { name, datatype, shape });
    writer = { like: { name, datatype, shape, data: [] }, keyOfElements };
    keyWriters.set(model, writer);
  }
  return writer.keyOfElements(tensorBytes(input));
}

function isLike(a: Tensor, b: Tensor): boolean {
  return a.name === b.name && a.datatype === b.datatype && sameShape(a.shape, b.shape);
}

/** As `keyOf` for each of the rows, whose names and datatypes are alike. */
function keysOfRows(model: LoadedModel, rows: readonly Tensor[]): string[] {
  const identity = { model: model.name, version: model.version, inputs: [provenanceOf(model)] };
  let shape: readonly number[] | undefined;
  let keyOfElements: (bytes: Uint8Array) => string = () => '';
  return rows.map((row) => {
    if (row.shape !== shape) {
      shape = row.shape;
      keyOfElements = predictionKeysByElements(identity, row);
    }
    return keyOfElements(tensorBytes(row));
  });
}

const provenances = new WeakMap<LoadedModel, KeyTensor>();

/**
 * What produced an answer and how it is written, as one more input, whose name no input can have: a folder's model may
 * be replaced under its version, and L1 and the disk outlive a deployment.
 */
function provenanceOf(model: LoadedModel): KeyTensor {
  let provenance = provenances.get(model);
  if (provenance === undefined) {
    const bytes = Buffer.from(`${PREDICTION_BODY_FORMAT} ${model.sha256}`);
    provenance = { name: '', datatype: 'BYTES', shape: [], bytes };
    provenances.set(model, provenance);
  }
  return provenance;
}
