import { createEdgeCache } from '../../../../containers/edge/cache/edge-cache';
import { InvalidationIndex } from '../../../../containers/edge/cache/invalidation-index';
import { createMemoryStore } from '../../../../containers/edge/cache/memory-store';
import type {
  CacheAnswer,
  EdgeCache,
  FillDemand,
  FillOutcome,
  FillPolicy,
} from '../../../../containers/edge/cache/types';
import { demandOf } from '../../../../containers/edge/inference/execution/demand';
import type { RunnableSession, RunResult } from '../../../../containers/edge/inference/execution/types';
import { LoadedModel } from '../../../../containers/edge/inference/loaded-model';
import { predictionText } from '../../../../containers/edge/inference/prediction-body';
import { Predictor } from '../../../../containers/edge/inference/predictor';
import type { Tensor } from '../../../../containers/edge/inference/tensors';
import { CachePolicy } from '../../../../lib/core/manifest';

const features: Tensor = { name: 'features', datatype: 'FP32', shape: [1, 2], data: Float32Array.of(1, 2) };
const row = (first: number): Tensor => ({ ...features, data: Float32Array.of(first, 0) });

/** Sums rows, one run at a time; tells what it ran, and whether it has been freed, after which ONNX Runtime refuses. */
class FakeSession implements RunnableSession {
  readonly inputs = [{ name: 'features', datatype: 'FP32' as const, shape: [-1, 2] }];
  readonly outputs = [{ name: 'score', datatype: 'FP32' as const, shape: [-1, 1] }];
  readonly slots = 1;
  /** First elements of the rows of each run. */
  readonly runs: number[][] = [];
  freed = false;

  async run([input]: readonly Tensor[]): Promise<RunResult> {
    if (this.freed) throw new Error('the session has been released');
    const rows = input?.shape[0] ?? 0;
    const data = input?.data as Float32Array;
    const sums = Float32Array.from({ length: rows }, (_, i) => (data[2 * i] ?? 0) + (data[2 * i + 1] ?? 0));
    this.runs.push(Array.from({ length: rows }, (_, i) => data[2 * i] ?? 0));
    if (sums.some((sum) => sum < 0)) throw new Error('negative');
    return { outputs: [{ name: 'score', datatype: 'FP32', shape: [rows, 1], data: sums }], computeMs: 0.01 };
  }

  release(): Promise<void> {
    this.freed = true;
    return Promise.resolve();
  }
}

const always: FillDemand = demandOf(undefined);

/** Holds every fill back until it is told to run, as a refresh behind a stale answer does. */
function heldBackCache() {
  const fills: (() => Promise<readonly FillOutcome[]>)[] = [];
  const policies: (FillPolicy | undefined)[] = [];
  const pending = new Promise<never>(() => undefined);
  const cache: Pick<EdgeCache, 'deliver' | 'getOrFillMany'> = {
    deliver: (_key, _receiver, fill, policy): void => {
      fills.push(async () => [await fill(always)]);
      policies.push(policy);
    },
    getOrFillMany: (keys, fillMissing, policy): Promise<CacheAnswer[]> => {
      fills.push(() =>
        fillMissing(
          [...keys.keys()],
          keys.map(() => always),
        ),
      );
      policies.push(policy);
      return pending;
    },
  };
  return { cache: cache as EdgeCache, fills, policies };
}

function modelWith(session: RunnableSession, cache: CachePolicy): LoadedModel {
  return new LoadedModel({ name: 'tiny', version: '1', sha256: 'a'.repeat(64), cache, session, batchable: true });
}

const asked: [string, (predictor: Predictor, model: LoadedModel) => void][] = [
  ['one request', (predictor, model) => void predictor.predict(model, [features])],
  ['rows', (predictor, model) => void predictor.predictRows(model, [features])],
];

describe.each(asked)("the cache policy of the model's manifest, %s", (_what, ask) => {
  it('says how long, where and how large predictions are kept', async () => {
    const policy = CachePolicy.parse({
      ttlSeconds: 60,
      tags: ['shop:1'],
      staleWhileRevalidateSeconds: 5,
      staleIfErrorSeconds: 3600,
      ttlJitter: 0.25,
      tiers: ['memory', 'l1'],
      maxBytes: 4096,
      oncePerRegion: true,
    });
    const { cache, fills, policies } = heldBackCache();
    ask(new Predictor(cache), modelWith(new FakeSession(), policy));
    expect(policies).toEqual([
      expect.objectContaining({ ttlJitter: 0.25, tiers: ['memory', 'l1'], maxBytes: 4096, oncePerRegion: true }),
    ]);
    expect(await fills[0]?.()).toMatchObject([
      {
        ttlMs: 60_000,
        staleWhileRevalidateMs: 5_000,
        staleIfErrorMs: 3_600_000,
        tags: ['model:tiny', 'model:tiny@1', 'shop:1'],
      },
    ]);
  });

  it('keeps nothing past its freshness unless it says so', async () => {
    const { cache, fills } = heldBackCache();
    ask(new Predictor(cache), modelWith(new FakeSession(), CachePolicy.parse({ ttlSeconds: 60 })));
    expect(await fills[0]?.()).toMatchObject([{ ttlMs: 60_000, staleWhileRevalidateMs: 0, staleIfErrorMs: 0 }]);
  });
});

describe.each(asked)('a fill that outlasts its request, %s', (_what, ask) => {
  it('keeps a model in memory that is retired meanwhile', async () => {
    const session = new FakeSession();
    const model = modelWith(session, CachePolicy.parse({}));
    const { cache, fills } = heldBackCache();
    const requestEnds = model.lease();
    ask(new Predictor(cache), model);
    model.retire();
    const filling = fills[0]?.();
    requestEnds();
    expect(session.freed).toBe(false);
    expect(await filling).toHaveLength(1);
    expect(session.freed).toBe(true);
  });

  it('fails once the model has been freed, so that the stale answer stands', async () => {
    const model = modelWith(new FakeSession(), CachePolicy.parse({}));
    const { cache, fills } = heldBackCache();
    ask(new Predictor(cache), model);
    model.retire();
    await expect(fills[0]?.()).rejects.toThrow('version 1 of model tiny has been retired');
  });
});

function memoryCache(): EdgeCache {
  return createEdgeCache({
    memory: createMemoryStore(1_000_000),
    index: new InvalidationIndex({ epoch: 'a', seq: 0 }),
  });
}

const numberOf = ({ body }: CacheAnswer) => Number(predictionText(body));

describe('rows of a batch', () => {
  it('that are not cached are run together, and all are answered in order', async () => {
    const session = new FakeSession();
    const model = modelWith(session, CachePolicy.parse({}));
    const predictor = new Predictor(memoryCache());
    await predictor.predict(model, [row(3)]);
    await predictor.predict(model, [row(5)]);
    const answers = await predictor.predictRows(model, [4, 3, 6, 5, 7, 4].map(row));
    expect(answers.map(numberOf)).toEqual([4, 3, 6, 5, 7, 4]);
    expect(answers.map(({ tier }) => tier)).toEqual(['origin', 'memory', 'origin', 'memory', 'origin', 'origin']);
    expect(session.runs).toEqual([[3], [5], [4, 6, 7]]);
    expect(model.statistics).toMatchObject({ inferenceCount: 5, executionCount: 3, success: { count: 3 } });
    expect(model.statistics).toMatchObject({ cacheHit: { count: 2 }, cacheMiss: { count: 6 } });
  });

  it('are cached where they succeed, and an error never is', async () => {
    const session = new FakeSession();
    const model = modelWith(session, CachePolicy.parse({}));
    const predictor = new Predictor(memoryCache());
    await predictor.predict(model, [row(1)]);
    await expect(predictor.predictRows(model, [2, -1, 3].map(row))).rejects.toMatchObject({
      code: 'inference_failed',
      message: 'model tiny version 1: negative',
    });
    const answers = await predictor.predictRows(model, [3, 2].map(row));
    expect(answers.map(({ tier }) => tier)).toEqual(['memory', 'memory']);
    await expect(predictor.predict(model, [row(-1)])).rejects.toMatchObject({ code: 'inference_failed' });
    expect(session.runs).toEqual([[1], [2, -1, 3], [2], [-1], [3], [-1]]);
    expect(model.statistics).toMatchObject({ fail: { count: 2 }, failedBatches: 1 });
  });

  it('share the run of single requests that come at the same time', async () => {
    const session = new FakeSession();
    const model = modelWith(session, CachePolicy.parse({}));
    const predictor = new Predictor(memoryCache());
    await predictor.predict(model, [row(1)]);
    const [batch, single, same] = await Promise.all([
      predictor.predictRows(model, [2, 3].map(row)),
      predictor.predict(model, [row(4)]),
      predictor.predict(model, [row(3)]),
    ]);
    expect([...batch, single, same].map(numberOf)).toEqual([2, 3, 4, 3]);
    expect(same.collapsed).toBe(true);
    expect(session.runs.map((ids) => ids.toSorted())).toEqual([[1], [2, 3, 4]]);
  });
});

describe('predictions that must not be kept', () => {
  const random = CachePolicy.parse({ ttlSeconds: 0 });

  it('have a run for every request, equal or not, at once or not', async () => {
    const session = new FakeSession();
    const model = modelWith(session, random);
    const predictor = new Predictor(memoryCache());
    await predictor.predict(model, [row(1)]);
    const answers = await Promise.all([predictor.predict(model, [row(1)]), predictor.predict(model, [row(1)])]);
    const rows = await predictor.predictRows(model, [1, 1].map(row));
    expect(session.runs.flat()).toEqual([1, 1, 1, 1, 1]);
    for (const answer of [...answers, ...rows]) {
      expect(answer).toMatchObject({ tier: 'origin', stored: false, collapsed: false, bypassed: true, ttlSeconds: 0 });
      expect(numberOf(answer)).toBe(1);
    }
    expect(model.statistics).toMatchObject({ cacheHit: { count: 0 }, cacheMiss: { count: 0 }, success: { count: 4 } });
  });

  it('fail each for itself', async () => {
    const model = modelWith(new FakeSession(), random);
    const predictor = new Predictor(memoryCache());
    await expect(predictor.predictRows(model, [1, -1].map(row))).rejects.toMatchObject({ code: 'inference_failed' });
    expect(numberOf(await predictor.predict(model, [row(2)]))).toBe(2);
  });

  it('keep a retired model in memory until they are answered', async () => {
    const session = new FakeSession();
    const model = modelWith(session, random);
    const release = model.lease();
    const answer = new Predictor(memoryCache()).predict(model, [row(2)]);
    model.retire();
    release();
    expect(numberOf(await answer)).toBe(2);
    expect(session.freed).toBe(true);
  });
});

describe('who waits for a prediction', () => {
  it('does not keep a run from being dropped once all have gone before it began', async () => {
    const session = new FakeSession();
    const model = modelWith(session, CachePolicy.parse({}));
    const predictor = new Predictor(memoryCache());
    await predictor.predict(model, [row(1)]);
    const [first, second] = [new AbortController(), new AbortController()];
    const both = [
      predictor.predict(model, [row(2)], { signal: first.signal }),
      predictor.predict(model, [row(2)], { signal: second.signal }),
    ];
    const one = predictor.predict(model, [row(3)], { signal: first.signal });
    const other = predictor.predict(model, [row(3)]);
    first.abort();
    second.abort();
    for (const answer of both) await expect(answer).rejects.toMatchObject({ code: 'client_closed_request' });
    expect([numberOf(await one), numberOf(await other)]).toEqual([3, 3]);
    expect(session.runs).toEqual([[1], [3]]);
  });

  it.each(asked)('has its deadline heeded, %s', async (what) => {
    const model = modelWith(new FakeSession(), CachePolicy.parse({}));
    const predictor = new Predictor(memoryCache());
    const options = { deadline: performance.now() - 1 };
    const answer =
      what === 'rows'
        ? predictor.predictRows(model, [features], options)
        : predictor.predict(model, [features], options);
    await expect(answer).rejects.toMatchObject({ code: 'deadline_exceeded', status: 504 });
    expect(model.statistics.deadlineExceeded).toBe(1);
  });
});

it('a hit that is only looked at counts where its model is given', async () => {
  const model = modelWith(new FakeSession(), CachePolicy.parse({}));
  const predictor = new Predictor(memoryCache());
  const key = predictor.keyOf(model, [features]);
  expect(predictor.peek(key, model)).toBeUndefined();
  await predictor.predict(model, [features]);
  predictor.peek(key);
  expect(predictor.peek(key, model)).toBeDefined();
  expect(model.statistics).toMatchObject({ success: { count: 2 }, cacheHit: { count: 1 } });
});
