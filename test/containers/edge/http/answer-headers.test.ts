import { createEdgeCache } from '../../../../containers/edge/cache/edge-cache';
import { InvalidationIndex } from '../../../../containers/edge/cache/invalidation-index';
import { createMemoryStore } from '../../../../containers/edge/cache/memory-store';
import { answerHeaders, batchCacheStatus } from '../../../../containers/edge/http/answer-headers';
import { filledWith } from '../cache/fixtures';

describe('the Cache-Status of a prediction', () => {
  it('says how long it stays fresh, and by a negative ttl for how long it has been stale (RFC 9211)', async () => {
    let now = 1_000_000;
    const index = new InvalidationIndex({ epoch: 'a', seq: 0 });
    const cache = createEdgeCache({ memory: createMemoryStore(1_000_000), index, clock: () => now });
    const lifetimes = { ttlMs: 10_000, staleWhileRevalidateMs: 60_000 };
    const ask = (key: string) => cache.getOrFill(key, async () => filledWith('v', lifetimes));
    const statusOf = async (key: string) => answerHeaders(await ask(key), 'no-store')['cache-status'];

    expect(await statusOf('k')).toBe('mlcdn-edge; fwd=miss; stored');
    now += 2_500;
    expect(await statusOf('k')).toBe('mlcdn-edge; hit; detail=memory; ttl=8');
    await ask('later');
    now += 7_600;
    const answers = [await ask('k'), await ask('later')];
    expect(answers.map(({ stale }) => stale)).toEqual([true, false]);
    expect(answers.map((answer) => answerHeaders(answer, 'no-store')['cache-status'])).toEqual([
      'mlcdn-edge; hit; detail=memory; ttl=-1',
      'mlcdn-edge; hit; detail=memory; ttl=3',
    ]);
    expect(batchCacheStatus(answers)).toBe('mlcdn-edge; hit; detail="memory"; ttl=-1');
    await cache.close();
  });
});
