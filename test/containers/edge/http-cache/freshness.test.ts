import fc from 'fast-check';
import { governingDirectives } from '../../../../containers/edge/http-cache/cache-control';
import {
  type FreshnessDefaults,
  freshnessOf,
  isStorable,
  type Received,
  statedLifetime,
} from '../../../../containers/edge/http-cache/freshness';
import { confirmedHead, headToStore } from '../../../../containers/edge/http-cache/response-head';
import { ageOf } from '../../../../containers/edge/http-cache/stored-response';

type Times = Pick<Received, 'status' | 'requestTime' | 'responseTime'>;

const NOW = Date.UTC(2026, 0, 1);
const DAY = 86_400;
const at = (secondsFromNow: number) => new Date(NOW + secondsFromNow * 1000).toUTCString();

const received = (headers: Record<string, string | string[]> = {}, fields: Partial<Times> = {}) => ({
  status: 200,
  statusText: '',
  headers,
  requestTime: NOW,
  responseTime: NOW,
  ...fields,
});
const freshness = (headers: Record<string, string | string[]>, fields?: Partial<Times>, route?: FreshnessDefaults) =>
  freshnessOf(received(headers, fields), governingDirectives(headers), route);
const lifetime = (headers: Record<string, string | string[]>, fields?: Partial<Times>, route?: FreshnessDefaults) =>
  freshness(headers, fields, route).lifetime;
const storable = (
  headers: Record<string, string | string[]>,
  {
    status = 200,
    authorized = false,
    route,
  }: { status?: number; authorized?: boolean; route?: FreshnessDefaults } = {},
) => isStorable(received(headers, { status }), governingDirectives(headers), authorized, route);

describe('a lifetime', () => {
  it('is s-maxage before max-age before Expires', () => {
    const expires = at(10);
    expect(lifetime({ expires, 'cache-control': 'max-age=20, s-maxage=30' })).toBe(30);
    expect(lifetime({ expires, 'cache-control': 'max-age=20' })).toBe(20);
    expect(lifetime({ expires, 'cache-control': 'public' })).toBe(10);
  });

  it('by Expires counts from Date', () => {
    expect(lifetime({ expires: at(100), date: at(-100) })).toBe(200);
    expect(lifetime({ expires: at(-200), date: at(-100) })).toBe(0);
  });

  it.each([['0'], ['-1'], ['tomorrow'], [''], [[at(10), at(10)]]])('is over at once by Expires: %j', (expires) => {
    expect(lifetime({ expires, 'last-modified': at(-1000) })).toBe(0);
  });

  it('is over at once by a malformed max-age, whatever Expires says', () => {
    expect(lifetime({ expires: at(10), 'cache-control': 'max-age=soon' })).toBe(0);
  });

  it('under CDN-Cache-Control heeds neither Cache-Control nor Expires', () => {
    const cacheControl = fc.constantFrom(
      'no-store',
      'private',
      'max-age=7',
      's-maxage=9',
      'must-revalidate',
      'no-cache',
    );
    const targeted = fc.constantFrom('max-age=60', 'max-age=60, public', 's-maxage=60', 'public', 'stale-if-error=5');
    fc.assert(
      fc.property(targeted, cacheControl, fc.integer({ min: -1000, max: 1000 }), (field, other, expiresIn) => {
        const alone = { 'cdn-cache-control': field };
        const headers = { ...alone, 'cache-control': other, expires: at(expiresIn) };
        const stated = statedLifetime(received(headers), governingDirectives(headers));
        expect(stated).toBe(field.includes('60') ? 60 : undefined);
        expect(freshness(headers)).toEqual(freshness(alone));
        expect(storable(headers)).toBe(storable(alone));
      }),
    );
  });

  describe('that nothing states', () => {
    it('is a tenth of the time since the last change, a day at most', () => {
      expect(lifetime({ 'last-modified': at(-1000) })).toBe(100);
      expect(lifetime({ 'last-modified': at(-1000), date: at(-500) })).toBe(50);
      expect(lifetime({ 'last-modified': at(-1000 * DAY) })).toBe(DAY);
      expect(lifetime({ 'last-modified': at(1000) })).toBe(0);
      expect(lifetime({ 'last-modified': 'recently' })).toBe(0);
      expect(lifetime({})).toBe(0);
    });

    it('is never negative and never above a day', () => {
      fc.assert(
        fc.property(fc.integer({ min: -1e8, max: 1e8 }), fc.integer({ min: -1e8, max: 1e8 }), (modified, date) => {
          const guessed = lifetime({ 'last-modified': at(modified), date: at(date) });
          expect(guessed).toBeGreaterThanOrEqual(0);
          expect(guessed).toBeLessThanOrEqual(DAY);
        }),
      );
    });

    it.each([201, 302, 307, 403, 500, 503])('is not guessed for %s, but where it is public', (status) => {
      expect(lifetime({ 'last-modified': at(-1000) }, { status })).toBe(0);
      expect(lifetime({ 'last-modified': at(-1000), 'cache-control': 'public' }, { status })).toBe(100);
    });

    it('is what the route gives, by kind of status', () => {
      const route = { defaultTtlSeconds: 60, negativeTtlSeconds: 5 };
      expect(lifetime({ 'last-modified': at(-1000) }, {}, route)).toBe(60);
      expect(lifetime({}, { status: 404 }, route)).toBe(5);
      expect(lifetime({}, { status: 500 }, route)).toBe(0);
      expect(lifetime({ 'cache-control': 'max-age=7' }, {}, route)).toBe(7);
    });
  });

  it('is bounded by the route', () => {
    expect(lifetime({ 'cache-control': 'max-age=1000' }, {}, { maxTtlSeconds: 60 })).toBe(60);
    expect(lifetime({ 'cache-control': 'max-age=10' }, {}, { maxTtlSeconds: 60 })).toBe(10);
  });
});

describe('an age (RFC 9111, 4.2.3)', () => {
  const initialAge = (headers: Record<string, string>, fields?: Partial<Times>) =>
    freshness(headers, fields).initialAge;

  it('starts at what Date tells, or at Age and the time that the origin took, whichever is more', () => {
    const took4 = { requestTime: NOW - 4000 };
    expect(initialAge({ date: at(0) })).toBe(0);
    expect(initialAge({ date: at(-30) })).toBe(30);
    expect(initialAge({ date: at(30) })).toBe(0);
    expect(initialAge({ date: at(-1), age: '10' }, took4)).toBe(14);
    expect(initialAge({ date: at(-20), age: '10' }, took4)).toBe(20);
    expect(initialAge({ date: at(-1) }, took4)).toBe(4);
    expect(initialAge({}, took4)).toBe(4);
  });

  it.each([
    ['7', 7],
    ['7, 900', 7],
    [' 7 ', 7],
    ['-7', 0],
    ['7.5', 0],
    ['abc', 0],
    ['', 0],
    ['9'.repeat(400), 2_147_483_648],
  ])('counts Age: %.20s as %s', (age, expected) => {
    expect(initialAge({ age, date: at(0) })).toBe(expected);
  });

  it('grows with the time that the response is stored', () => {
    const head = headToStore(received({ 'cache-control': 'max-age=60', age: '10', date: at(0) }), undefined, false);
    if (!head) throw new Error('not stored');
    expect(ageOf(head, NOW)).toBe(10);
    expect(ageOf(head, NOW + 5000)).toBe(15);
  });

  it('is never negative, and never less than any of its parts', () => {
    const anySeconds = fc.integer({ min: 0, max: 100_000 });
    fc.assert(
      fc.property(anySeconds, anySeconds, anySeconds, anySeconds, (dateAgo, age, delay, resident) => {
        const headers = { 'cache-control': 'max-age=1', date: at(-dateAgo), age: String(age) };
        const head = headToStore(received(headers, { requestTime: NOW - delay * 1000 }), undefined, false);
        if (!head) throw new Error('not stored');
        expect(ageOf(head, NOW + resident * 1000)).toBe(Math.max(dateAgo, age + delay) + resident);
        expect(ageOf(head, NOW - 1e9)).toBe(0);
      }),
    );
  });
});

describe('a shared cache stores', () => {
  it.each([
    ['no-store'],
    ['private'],
    ['private=""'],
    ['private, max-age=60'],
    ['private="set-cookie", private, max-age=60'],
    ['no-store, max-age=60, public'],
  ])('nothing that is %s', (cacheControl) => {
    expect(storable({ 'cache-control': cacheControl, etag: '"a"', expires: at(60) })).toBe(false);
  });

  it('a response whose private fields are named, without them', () => {
    const headers = { 'cache-control': 'max-age=60, private="X-User"', 'x-user': 'me', 'x-other': 'all' };
    const head = headToStore(received(headers), undefined, false);
    expect(head?.headers).toMatchObject({ 'x-other': 'all' });
    expect(head?.headers).not.toHaveProperty('x-user');
  });

  it('what must be understood if its status is, no-store or not', () => {
    const cacheControl = 'max-age=60, no-store, must-understand';
    expect(storable({ 'cache-control': cacheControl })).toBe(true);
    expect(storable({ 'cache-control': cacheControl }, { status: 299 })).toBe(false);
    expect(storable({ 'cache-control': 'max-age=60, must-understand' }, { status: 599 })).toBe(false);
    expect(storable({ 'cache-control': 'max-age=60' }, { status: 299 })).toBe(true);
  });

  it.each([100, 103, 304])('no %s', (status) => {
    expect(storable({ 'cache-control': 'max-age=60' }, { status })).toBe(false);
  });

  it('nothing that varies by everything', () => {
    expect(storable({ 'cache-control': 'max-age=60', vary: 'accept, *' })).toBe(false);
  });

  it.each([
    ['max-age=60', false],
    ['max-age=60, proxy-revalidate', false],
    ['max-age=60, no-cache', false],
    ['max-age=60, public', true],
    ['max-age=60, must-revalidate', true],
    ['s-maxage=60', true],
  ])('an answer to Authorization with %s: %s', (cacheControl, expected) => {
    expect(storable({ 'cache-control': cacheControl }, { authorized: true })).toBe(expected);
    expect(storable({ 'cdn-cache-control': cacheControl, 'cache-control': 'public' }, { authorized: true })).toBe(
      expected,
    );
  });

  it('an answer to Authorization not for its validator or its route alone', () => {
    expect(storable({ etag: '"a"' }, { authorized: true, route: { defaultTtlSeconds: 60 } })).toBe(false);
  });

  it('what can be asked about again, where its status may be reused without stated freshness', () => {
    expect(storable({ etag: '"a"' })).toBe(true);
    expect(storable({ etag: '"a"' }, { status: 404 })).toBe(true);
    expect(storable({ etag: '"a"' }, { status: 302 })).toBe(false);
    expect(storable({ etag: '"a"' }, { status: 503 })).toBe(false);
    expect(storable({ etag: '"a"', 'cache-control': 'public' }, { status: 503 })).toBe(true);
    expect(storable({ 'cache-control': 'max-age=1' }, { status: 503 })).toBe(true);
    expect(storable({})).toBe(false);
    expect(storable({}, { route: { defaultTtlSeconds: 60 } })).toBe(true);
    expect(storable({}, { route: { defaultTtlSeconds: 0 } })).toBe(false);
  });
});

describe('staleness', () => {
  const windows = 'stale-while-revalidate=10, stale-if-error=20';

  it.each(['must-revalidate', 'proxy-revalidate', 's-maxage=60'])('is ruled out by %s', (directive) => {
    const cacheControl = `max-age=60, ${windows}, ${directive}`;
    const route = { staleWhileRevalidateSeconds: 30, staleIfErrorSeconds: 30 };
    expect(freshness({ 'cache-control': cacheControl }, {}, route)).toMatchObject({
      neverStale: true,
      staleWhileRevalidate: 0,
      staleIfError: 0,
    });
  });

  it('is allowed as the response says, else as the route says', () => {
    const route = { staleWhileRevalidateSeconds: 30, staleIfErrorSeconds: 40 };
    expect(freshness({ 'cache-control': `max-age=60, ${windows}` }, {}, route)).toMatchObject({
      staleWhileRevalidate: 10,
      staleIfError: 20,
    });
    expect(freshness({ 'cache-control': 'max-age=60' }, {}, route)).toMatchObject({
      staleWhileRevalidate: 30,
      staleIfError: 40,
    });
  });

  it('does not come into it where the origin is to be asked always', () => {
    expect(freshness({ 'cache-control': 'no-cache' }).alwaysRevalidate).toBe(true);
    expect(freshness({ 'cache-control': 'no-cache=""' }).alwaysRevalidate).toBe(true);
    expect(freshness({ 'cache-control': 'no-cache="set-cookie"' }).alwaysRevalidate).toBe(false);
  });
});

describe('Date', () => {
  it('is recorded for a response that came without one (RFC 9110, 6.6.1)', () => {
    expect(headToStore(received({ 'cache-control': 'max-age=60' }), undefined, false)?.headers.date).toBe(at(0));
    const dated = received({ 'cache-control': 'max-age=60', date: at(-5) });
    expect(headToStore(dated, undefined, false)?.headers.date).toBe(at(-5));
  });

  it('of a stored response is not that of its confirmation, which may have none', () => {
    const stored = headToStore(
      received({ 'cache-control': 'max-age=60', date: at(-600), etag: '"a"' }),
      undefined,
      false,
    );
    if (!stored) throw new Error('not stored');
    const confirmed = confirmedHead(stored, received({ etag: '"a"' }, { status: 304 }), undefined, false);
    expect(confirmed?.freshness).toMatchObject({ initialAge: 0, lifetime: 60 });
    expect(confirmed?.headers.date).toBe(at(0));
  });
});

describe('a confirmation', () => {
  it('replaces what it states, but what belongs to the stored body', () => {
    const headers = {
      'cache-control': 'max-age=60',
      'content-type': 'text/plain',
      'content-length': '5',
      age: '50',
      'x-a': 'old',
      'x-b': 'old',
    };
    const stored = headToStore(received(headers), undefined, false);
    if (!stored) throw new Error('not stored');
    const update = { 'cache-control': 'max-age=70', 'content-type': 'text/html', 'content-length': '0', 'x-b': 'new' };
    const confirmed = confirmedHead(stored, received(update, { status: 304 }), undefined, false);
    expect(confirmed).toMatchObject({ status: 200, freshness: { lifetime: 70, initialAge: 0 } });
    expect(confirmed?.headers).toEqual({
      'cache-control': 'max-age=70',
      'content-type': 'text/plain',
      'content-length': '5',
      date: at(0),
      'x-a': 'old',
      'x-b': 'new',
    });
  });

  it('that forbids to store leaves nothing to store', () => {
    const stored = headToStore(received({ 'cache-control': 'max-age=60' }), undefined, false);
    if (!stored) throw new Error('not stored');
    const confirmation = received({ 'cache-control': 'no-store' }, { status: 304 });
    expect(confirmedHead(stored, confirmation, undefined, false)).toBeUndefined();
  });
});
