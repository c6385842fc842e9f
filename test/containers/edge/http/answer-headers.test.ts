import fc from 'fast-check';
import { createEdgeCache } from '../../../../containers/edge/cache/edge-cache';
import { InvalidationIndex } from '../../../../containers/edge/cache/invalidation-index';
import { createMemoryStore } from '../../../../containers/edge/cache/memory-store';
import type { CacheAnswer } from '../../../../containers/edge/cache/types';
import { answerHeaders, answerLines, batchCacheStatus } from '../../../../containers/edge/http/answer-headers';
import { flat } from '../../../../containers/edge/http/hot-answer';
import { fieldLines } from '../../../../containers/edge/http/wire/field-lines';
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

const tier = fc.constantFrom('memory', 'l1', 'l2', 'origin');
const answers: fc.Arbitrary<CacheAnswer> = fc.record({
  body: fc.constant(Buffer.alloc(0)),
  tags: fc.array(fc.constantFrom('model:a', 'model:a:1', 'tenant:x'), { maxLength: 3 }),
  tier,
  collapsed: fc.boolean(),
  ageSeconds: fc.nat(100),
  ttlSeconds: fc.integer({ min: -100, max: 100 }),
  stale: fc.boolean(),
  stored: fc.boolean(),
  timings: fc.array(fc.record({ tier, ms: fc.oneof(fc.double({ min: 0, max: 1e5, noNaN: true }), fc.constant(1e9)) }), {
    minLength: 1,
    maxLength: 4,
  }),
});

describe('the headers of an answer', () => {
  it('are the same as an object and as lines', () => {
    fc.assert(
      fc.property(answers, (answer) => {
        expect(answerLines(answer, 'no-store')).toBe(fieldLines(flat(answerHeaders(answer, 'no-store'))));
      }),
    );
  });

  it('give the time of each tier in milliseconds, to the microsecond', () => {
    fc.assert(
      fc.property(answers, (answer) => {
        const entries = answerHeaders(answer, 'no-store')['server-timing']?.split(', ') ?? [];
        expect(entries.length).toBe(answer.timings.length);
        entries.forEach((entry, i) => {
          const [, name, ms] = /^(\w+);dur=(\d+\.\d{3})$/.exec(entry) ?? [];
          const timing = answer.timings[i];
          expect(name).toBe(timing?.tier === 'origin' ? 'infer' : timing?.tier);
          expect(Math.abs(Number(ms) - (timing?.ms ?? 0))).toBeLessThan(0.000501);
        });
      }),
    );
  });
});
