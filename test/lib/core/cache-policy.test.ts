import fc from 'fast-check';
import { type RoutePolicies, RoutePolicy, routeMatcher } from '../../../lib/core/cache-policy';
import { CachePolicy, ModelManifest } from '../../../lib/core/manifest';

/** `path: message` of everything that a schema finds wrong. */
function faults(schema: typeof RoutePolicy | typeof CachePolicy, value: unknown): string[] {
  const result = schema.safeParse(value);
  return result.success ? [] : result.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
}

const policies = (...paths: string[]): RoutePolicies => paths.map((path) => ({ path }));

describe('routeMatcher', () => {
  it('gives the first policy whose glob matches the whole path', () => {
    const match = routeMatcher(policies('/api/users/*', '/api/*', '*.json', '/v?/x'));
    expect(match('/api/users/7')?.path).toBe('/api/users/*');
    expect(match('/api/users')?.path).toBe('/api/*');
    expect(match('/api/')?.path).toBe('/api/*');
    expect(match('/deep/er/file.json')?.path).toBe('*.json');
    expect(match('/v2/x')?.path).toBe('/v?/x');
    for (const path of ['/api', '/x/api/', '/v/x', '/v22/x', '/file.jsonl', '/API/x'])
      expect(match(path)).toBeUndefined();
  });

  it('has none without policies', () => {
    expect(routeMatcher([])('/')).toBeUndefined();
  });

  it('takes equivalent spellings of a path for the same path', () => {
    const match = routeMatcher(policies('/api/%7Ejo%2f*'));
    for (const path of ['/api/~jo%2Fx', '/%61p%69/%7ejo%2fx']) expect(match(path)).toBeDefined();
    // An escaped slash is another path than a slash, and a broken escape is itself.
    for (const path of ['/api/~jo/x', '/ap%/~jo%2Fx', '/api/~jo%252Fx']) expect(match(path)).toBeUndefined();
  });

  it('cannot be evaded by escaping unreserved characters', () => {
    const segment = fc.string({ unit: fc.constantFrom(...'az09-._~/'), maxLength: 12 });
    fc.assert(
      fc.property(segment, fc.infiniteStream(fc.constantFrom('as is', 'upper', 'lower')), (rest, choices) => {
        const escaped = Array.from(`api/${rest}`, (character) => {
          const how = choices.next().value;
          if (character === '/' || how === 'as is') return character;
          const hex = `%${character.charCodeAt(0).toString(16)}`;
          return how === 'upper' ? hex.toUpperCase() : hex;
        }).join('');
        expect(routeMatcher(policies('/api/*'))(`/${escaped}`)).toBeDefined();
      }),
    );
  });
});

describe('RoutePolicy', () => {
  it('takes every setting', () => {
    const policy = {
      path: '/api/*',
      defaultTtlSeconds: 60,
      maxTtlSeconds: 3600,
      negativeTtlSeconds: 5,
      staleWhileRevalidateSeconds: 30,
      staleIfErrorSeconds: 86_400,
      ttlJitter: 0.1,
      tags: ['api'],
      tiers: ['memory', 'l1'],
      maxBytes: 1_048_576,
      oncePerRegion: true,
      cache: true,
    };
    expect(RoutePolicy.parse(policy)).toEqual(policy);
  });

  it('says nothing of what it was not told', () => {
    expect(Object.keys(RoutePolicy.parse({ path: '/api/*' }))).toEqual(['path']);
  });

  it.each([
    [{}, 'path: no value must be a glob over the path that starts with / or *, such as /api/*'],
    [{ path: 'api' }, 'path: "api" must be a glob over the path that starts with / or *, printable ASCII, no #'],
    [{ path: '/a b' }, 'path: "/a b" must be a glob over the path that starts with / or *, printable ASCII, no #'],
    [{ path: '/', defaultTtlSeconds: 1.5 }, 'defaultTtlSeconds: 1.5 must be whole seconds from 0 to 31536000'],
    [{ path: '/', ttlJitter: 2 }, 'ttlJitter: 2 must be a share from 0 to 1'],
    [
      { path: '/', tags: ['a b'] },
      'tags.0: cache tag "a b" must be 1-256 printable ASCII characters without spaces or commas',
    ],
    [{ path: '/', tiers: ['disk'] }, 'tiers.0: "disk" must be one of memory, l1, l2'],
    [{ path: '/', tiers: ['l1', 'l1'] }, 'tiers: ["l1","l1"] must be a list that names each tier once'],
    [
      { path: '/', tiers: [] },
      'tiers: must name at least one tier; `"cache": false` or a TTL of 0 keeps answers out of all of them',
    ],
    [{ path: '/', maxBytes: 0 }, 'maxBytes: 0 must be whole bytes from 1 to 1099511627776'],
    [{ path: '/', cache: 'no' }, 'cache: "no" must be true or false'],
    [
      { path: '/', tiers: ['memory'], oncePerRegion: true },
      'oncePerRegion: true needs the tier l1, but tiers is ["memory"]',
    ],
    [
      { path: '/', maxTtlSeconds: 10, defaultTtlSeconds: 60 },
      'defaultTtlSeconds: 60 must be at most maxTtlSeconds (10)',
    ],
    [
      { path: '/', maxTtlSeconds: 10, negativeTtlSeconds: 11 },
      'negativeTtlSeconds: 11 must be at most maxTtlSeconds (10)',
    ],
    ['/api', ': "/api" must be an object such as {"path": "/api/*", "defaultTtlSeconds": 60}'],
    [
      { path: '/', ttl: 60 },
      ': has the unknown fields ttl; known: path, defaultTtlSeconds, maxTtlSeconds, negativeTtlSeconds, staleWhileRevalidateSeconds, staleIfErrorSeconds, ttlJitter, tags, tiers, maxBytes, oncePerRegion, cache',
    ],
  ])('refuses %j', (policy, fault) => {
    expect(faults(RoutePolicy, policy)).toEqual([fault]);
  });
});

describe('CachePolicy', () => {
  it('reads a manifest written before there was more than a TTL and tags, and gives it nothing more', () => {
    const manifest = ModelManifest.parse({
      schemaVersion: 1,
      model: 'ranker',
      version: '1',
      sha256: '0'.repeat(64),
      bytes: 1,
      inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 2] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 1] }],
      cache: { ttlSeconds: 60, tags: ['shop'] },
      publishedAt: '2026-01-01T00:00:00Z',
    });
    expect(manifest.cache).toStrictEqual({ ttlSeconds: 60, tags: ['shop'] });
    expect(CachePolicy.parse({})).toStrictEqual({ ttlSeconds: 300, tags: [] });
  });

  it.each([
    [{ ttlSeconds: -1 }, 'ttlSeconds: -1 must be whole seconds from 0 to 31536000'],
    [
      { ttlSeconds: 0, staleIfErrorSeconds: 60 },
      'staleIfErrorSeconds: 60 needs a ttlSeconds above 0, for 0 means that nothing is cached',
    ],
    [{ tiers: ['l2'], oncePerRegion: true }, 'oncePerRegion: true needs the tier l1, but tiers is ["l2"]'],
    [
      { ttl: 60 },
      ': has the unknown fields ttl; known: ttlSeconds, tags, staleWhileRevalidateSeconds, staleIfErrorSeconds, ttlJitter, tiers, maxBytes, oncePerRegion',
    ],
  ])('refuses %j', (policy, fault) => {
    expect(faults(CachePolicy, policy)).toEqual([fault]);
  });
});
