import type { CacheAnswer, EdgeCache, Filled, FillPolicy } from '../../../../containers/edge/cache/types';
import { LoadedModel } from '../../../../containers/edge/inference/loaded-model';
import type { OnnxSession } from '../../../../containers/edge/inference/onnx-session';
import { Predictor } from '../../../../containers/edge/inference/predictor';
import type { Tensor } from '../../../../containers/edge/inference/tensors';
import { CachePolicy } from '../../../../lib/core/manifest';

const features: Tensor = { name: 'features', datatype: 'FP32', shape: [1, 2], data: Float32Array.of(1, 2) };
const score: Tensor = { name: 'score', datatype: 'FP32', shape: [1, 1], data: Float32Array.of(3) };

/** A session that tells whether it has been freed; running it then is what ONNX Runtime refuses. */
class FakeSession implements OnnxSession {
  readonly inputs = [{ name: 'features', datatype: 'FP32' as const, shape: [-1, 2] }];
  readonly outputs = [{ name: 'score', datatype: 'FP32' as const, shape: [-1, 1] }];
  freed = false;

  run(): Promise<Tensor[]> {
    return this.freed ? Promise.reject(new Error('the session has been released')) : Promise.resolve([score]);
  }

  release(): Promise<void> {
    this.freed = true;
    return Promise.resolve();
  }
}

/** Holds every fill back until it is told to run, as a refresh behind a stale answer does. */
function heldBackCache() {
  const fills: (() => Promise<readonly Filled[]>)[] = [];
  const policies: (FillPolicy | undefined)[] = [];
  const pending = new Promise<never>(() => undefined);
  const cache: Pick<EdgeCache, 'getOrFill' | 'getOrFillMany'> = {
    getOrFill: (_key, fill, policy): Promise<CacheAnswer> => {
      fills.push(async () => [await fill()]);
      policies.push(policy);
      return pending;
    },
    getOrFillMany: (keys, fillMissing, policy): Promise<CacheAnswer[]> => {
      fills.push(() => fillMissing([...keys.keys()]));
      policies.push(policy);
      return pending;
    },
  };
  return { cache: cache as EdgeCache, fills, policies };
}

function modelWith(session: OnnxSession, cache: CachePolicy): LoadedModel {
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

  it('keeps nothing past its freshness unless it says so, and nothing at all with a TTL of 0', async () => {
    const { cache, fills } = heldBackCache();
    ask(new Predictor(cache), modelWith(new FakeSession(), CachePolicy.parse({ ttlSeconds: 0 })));
    expect(await fills[0]?.()).toMatchObject([{ ttlMs: 0, staleWhileRevalidateMs: 0, staleIfErrorMs: 0 }]);
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
