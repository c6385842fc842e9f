import { createEdgeCache } from '../../../../containers/edge/cache/edge-cache';
import { InvalidationIndex } from '../../../../containers/edge/cache/invalidation-index';
import { createMemoryStore } from '../../../../containers/edge/cache/memory-store';
import type { FillDemand, Filled, FillOutcome } from '../../../../containers/edge/cache/types';
import { deferred, filledWith } from './fixtures';

function setUp() {
  const time = { now: 1_000_000 };
  const cache = createEdgeCache({
    memory: createMemoryStore(1_000_000),
    index: new InvalidationIndex({ epoch: 'a', seq: 0 }),
    clock: () => time.now,
  });
  const origin = deferred<Filled>();
  const demands: FillDemand[] = [];
  const fill = (demand: FillDemand): Promise<Filled> => {
    demands.push(demand);
    return origin.promise;
  };
  const begun = async (): Promise<FillDemand> => {
    await new Promise((resolve) => setImmediate(resolve));
    const demand = demands.at(-1);
    if (demand === undefined) throw new Error('no fill has begun');
    return demand;
  };
  return { cache, time, origin, fill, demands, begun };
}

describe('a fill that several requests share', () => {
  it('is wanted until the last of those who wait has gone, and is stored all the same', async () => {
    const { cache, origin, fill, begun } = setUp();
    const [first, second] = [new AbortController(), new AbortController()];
    const answers = [
      cache.getOrFill('k', fill, {}, { signal: first.signal }),
      cache.getOrFill('k', fill, {}, { signal: second.signal }),
    ];
    const demand = await begun();
    first.abort();
    expect(demand.isWanted()).toBe(true);
    second.abort();
    expect(demand.isWanted()).toBe(false);
    origin.resolve(filledWith('one'));
    await Promise.all(answers);
    expect(cache.peek('k')?.body.toString()).toBe('one');
  });

  it('is wanted for as long as one waits who cannot hang up', async () => {
    const { cache, fill, begun } = setUp();
    const client = new AbortController();
    void cache.getOrFill('k', fill, {}, { signal: client.signal });
    void cache.getOrFillMany(['k'], async () => []);
    client.abort();
    expect((await begun()).isWanted()).toBe(true);
  });

  it('has the latest deadline, or none where one has none', async () => {
    const { cache, fill, begun } = setUp();
    void cache.getOrFill('k', fill, {}, { deadline: 100 });
    void cache.getOrFill('k', fill, {}, { deadline: 300 });
    void cache.getOrFillMany(['k'], async () => [], {}, { deadline: 200 });
    const demand = await begun();
    expect(demand.deadline).toBe(300);
    void cache.getOrFill('k', fill);
    expect(demand.deadline).toBe(Number.POSITIVE_INFINITY);
  });

  it('is not joined any more once it has been given up', async () => {
    const { cache, origin, fill, demands, begun } = setUp();
    const client = new AbortController();
    const gone = cache.getOrFill('k', fill, {}, { signal: client.signal });
    const demand = await begun();
    client.abort();
    demand.close();
    const answer = cache.getOrFill('k', async () => filledWith('own'));
    origin.reject(new Error('nobody waits'));
    await expect(gone).rejects.toThrow('nobody waits');
    expect((await answer).body.toString()).toBe('own');
    expect(demands).toHaveLength(1);
  });

  it('is wanted when it refreshes a stale answer, which is for those to come', async () => {
    const { cache, time, fill, begun } = setUp();
    await cache.getOrFill('k', async () => filledWith('old', { ttlMs: 1_000, staleWhileRevalidateMs: 60_000 }));
    time.now += 5_000;
    const client = new AbortController();
    const answer = await cache.getOrFill('k', fill, {}, { signal: client.signal, deadline: 1 });
    client.abort();
    expect(answer.stale).toBe(true);
    const demand = await begun();
    expect(demand.isWanted()).toBe(true);
    expect(demand.deadline).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('a fill of many keys of which one fails', () => {
  const outcomes: FillOutcome[] = [filledWith('a'), { error: new Error('bad row') }, filledWith('c')];

  it('rejects, and stores the others', async () => {
    const { cache } = setUp();
    await expect(cache.getOrFillMany(['a', 'b', 'c'], async () => outcomes)).rejects.toThrow('bad row');
    expect(cache.peek('a')?.body.toString()).toBe('a');
    expect(cache.peek('b')).toBeUndefined();
    expect(cache.peek('c')?.body.toString()).toBe('c');
    expect(cache.stats()).toMatchObject({ fillErrors: 1 });
  });

  it('fails nobody who waits for another of them', async () => {
    const { cache, fill } = setUp();
    const many = cache.getOrFillMany(['a', 'b', 'c'], async () => outcomes);
    const joined = cache.getOrFill('c', fill);
    await expect(many).rejects.toThrow('bad row');
    expect((await joined).body.toString()).toBe('c');
  });

  it('answers with what is stale, where the policy says so', async () => {
    const { cache, time } = setUp();
    await cache.getOrFill('b', async () => filledWith('old b', { ttlMs: 1_000, staleIfErrorMs: 60_000 }));
    time.now += 5_000;
    const answers = await cache.getOrFillMany(['a', 'b', 'c'], async () => outcomes);
    expect(answers.map(({ body, stale }) => [body.toString(), stale])).toEqual([
      ['a', false],
      ['old b', true],
      ['c', false],
    ]);
  });
});
