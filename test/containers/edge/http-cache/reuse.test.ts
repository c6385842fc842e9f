import fc from 'fast-check';
import { parseCacheControl } from '../../../../containers/edge/http-cache/cache-control';
import { headToStore } from '../../../../containers/edge/http-cache/response-head';
import { judge, mayAnswerInstead } from '../../../../containers/edge/http-cache/reuse';
import type { ResponseHead } from '../../../../containers/edge/http-cache/stored-response';
import { type CacheUnderTest, startCache } from './harness';

const NOW = Date.UTC(2026, 0, 1);

function storedWith(cacheControl: string, more: Record<string, string> = { etag: '"a"' }): ResponseHead {
  const headers = { 'cache-control': cacheControl, ...more };
  const times = { requestTime: NOW, responseTime: NOW };
  const head = headToStore({ status: 200, statusText: 'OK', headers, ...times }, undefined, false);
  if (!head) throw new Error(`${cacheControl} is not to be stored`);
  return head;
}
const verdict = (head: ResponseHead, request: string, age: number) =>
  judge(head, parseCacheControl(request === '' ? [] : [request]), NOW + age * 1000);

describe('a stored response', () => {
  it.each([
    ['max-age=60', '', 0, 'reuse'],
    ['max-age=60', '', 59, 'reuse'],
    ['max-age=60', '', 60, 'ask-origin'],
    ['max-age=0', '', 0, 'ask-origin'],
    ['max-age=60, no-cache', '', 0, 'ask-origin'],
    ['max-age=60, no-cache="set-cookie"', '', 0, 'reuse'],
    ['max-age=60', 'no-cache', 0, 'ask-origin'],
    ['max-age=60', 'max-age=0', 1, 'ask-origin'],
    ['max-age=60', 'max-age=10', 10, 'reuse'],
    ['max-age=60', 'max-age=10', 11, 'ask-origin'],
    ['max-age=60', 'max-age=soon', 1, 'ask-origin'],
    ['max-age=60', 'min-fresh=10', 50, 'reuse'],
    ['max-age=60', 'min-fresh=10', 51, 'ask-origin'],
    ['max-age=60', 'max-stale', 1000, 'reuse'],
    ['max-age=60', 'max-stale=10', 70, 'reuse'],
    ['max-age=60', 'max-stale=10', 71, 'ask-origin'],
    ['max-age=60', 'max-stale, max-age=10', 11, 'ask-origin'],
    ['max-age=60, must-revalidate', 'max-stale', 60, 'ask-origin'],
    ['max-age=60, proxy-revalidate', 'max-stale', 60, 'ask-origin'],
    ['s-maxage=60', 'max-stale', 60, 'ask-origin'],
    ['max-age=60, no-cache', 'max-stale', 0, 'ask-origin'],
    ['max-age=60, stale-while-revalidate=10', '', 59, 'reuse'],
    ['max-age=60, stale-while-revalidate=10', '', 60, 'reuse-and-refresh'],
    ['max-age=60, stale-while-revalidate=10', '', 69, 'reuse-and-refresh'],
    ['max-age=60, stale-while-revalidate=10', '', 70, 'ask-origin'],
    ['max-age=60, stale-while-revalidate=10', 'no-cache', 60, 'ask-origin'],
    ['max-age=60, stale-while-revalidate=10', 'min-fresh=1', 60, 'ask-origin'],
    ['max-age=60, stale-while-revalidate=10, must-revalidate', '', 60, 'ask-origin'],
  ])('with %s, asked for with %s at %i seconds: %s', (cacheControl, request, age, expected) => {
    expect(verdict(storedWith(cacheControl), request, age)).toBe(expected);
  });

  it('counts the age that it came with', () => {
    const head = storedWith('max-age=60', { age: '50' });
    expect(verdict(head, '', 9)).toBe('reuse');
    expect(verdict(head, '', 10)).toBe('ask-origin');
  });

  it('is never used stale where its origin forbids it, nor past what anybody allows', () => {
    const small = fc.nat(100);
    const forbids = fc.constantFrom('', ', must-revalidate', ', proxy-revalidate');
    const request = fc.oneof(
      fc.constant(''),
      small.map((seconds) => `max-stale=${seconds}`),
    );
    fc.assert(
      fc.property(small, small, forbids, request, fc.nat(300), (maxAge, window, forbidden, asked, age) => {
        const head = storedWith(`max-age=${maxAge}, stale-while-revalidate=${window}${forbidden}`);
        const staleness = age - maxAge;
        const allowed = asked === '' ? -1 : Number(asked.slice('max-stale='.length));
        const mayBeReused = staleness < 0 || (forbidden === '' && staleness <= allowed);
        const mayBeRefreshed = forbidden === '' && staleness < window;
        expect(verdict(head, asked, age)).toBe(
          mayBeReused ? 'reuse' : mayBeRefreshed ? 'reuse-and-refresh' : 'ask-origin',
        );
      }),
    );
  });
});

describe('while the origin cannot be reached', () => {
  it.each([
    ['max-age=60', 60 + 3599, true],
    ['max-age=60', 60 + 3600, false],
    ['max-age=60, stale-if-error=10', 69, true],
    ['max-age=60, stale-if-error=10', 70, false],
    ['max-age=60, stale-if-error=0', 60, false],
    ['max-age=60, must-revalidate, stale-if-error=10', 60, false],
    ['s-maxage=60', 60, false],
    ['no-cache', 0, false],
  ])('a response with %s may answer at %i seconds: %s', (cacheControl, age, expected) => {
    expect(mayAnswerInstead(storedWith(cacheControl), NOW + age * 1000)).toBe(expected);
  });
});

describe('while the origin answers with errors', () => {
  let under: CacheUnderTest;
  beforeEach(async () => {
    under = await startCache();
  });
  afterEach(() => under.stop());

  it.each([
    ['within its window', 'max-age=60, stale-if-error=10', 65, 200, 'stored'],
    ['past its window', 'max-age=60, stale-if-error=10', 75, 503, 'overloaded'],
    ['must not be used stale', 's-maxage=60, stale-if-error=10', 65, 503, 'overloaded'],
  ])('a response %s gives way to nothing but what the origin says', async (_what, cacheControl, age, status, text) => {
    under.origin((_request, response) => {
      response.writeHead(200, { etag: '"a"', 'cache-control': cacheControl }).end('stored');
    });
    await under.get('/x');
    under.origin((_request, response) => response.writeHead(503).end('overloaded'));
    under.pass(age);
    expect(await under.get('/x')).toMatchObject({ status, text });
  });
});
