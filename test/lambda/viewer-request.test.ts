import fc from 'fast-check';
import { viewerRequestCode } from '../../lib/constructs/viewer-request-function';
import { canonicalPredictionQuery, type QueryValues } from '../../lib/core/canonical-query';
import { AWS_REGIONS, type RegionCode } from '../../lib/core/regions';
import { rankRegions, viewerMargin } from '../../lib/core/routing-score';
import { encodeRoutingTable } from '../../lib/core/routing-table';
import { EdgeFunction } from '../../local/cloudfront/edge-function';
import { predictionQuery } from '../support/prediction-queries';
import { type Field, type Fields, NJS_MISSING, runViewerRequests, type ViewerResult } from '../support/viewer-request';

function runFunction(request: object, store: Record<string, string> = {}) {
  const { results, groups } = runViewerRequests([request], store);
  const [result = {}] = results;
  return { result, groups };
}

/** A query as the event carries it. */
function fieldsOf(query: QueryValues): Fields {
  const fields = Object.entries(query).map(([name, values]): [string, Field] => {
    const [value = ''] = values;
    return [name, values.length > 1 ? { value, multiValue: values.map((each) => ({ value: each })) } : { value }];
  });
  return Object.fromEntries(fields);
}

function valuesOf({ querystring = {} }: ViewerResult): [string, string[]][] {
  return Object.entries(querystring).map(([name, { value, multiValue }]) => [
    name,
    multiValue ? multiValue.map((each) => each.value) : [value],
  ]);
}

/** A region's place to the hundredth of a degree, as the function carries it. */
function roundedPlace(region: RegionCode) {
  const { lat, lon } = AWS_REGIONS[region];
  return { lat: Math.round(lat * 100) / 100, lon: Math.round(lon * 100) / 100 };
}

const get = (uri: string, querystring: Fields = {}, headers: Fields = {}) => ({
  method: 'GET',
  uri,
  querystring,
  headers,
});

(NJS_MISSING ? describe.skip : describe)(
  NJS_MISSING
    ? 'the viewer-request function on njs (skipped: install the Debian package njs)'
    : 'the viewer-request function on njs',
  () => {
    test('puts the live version of the model into the cache key and makes the query canonical', () => {
      const { result, groups } = runFunction(
        get(
          '/predict',
          { utm: { value: 'x' }, features: { value: '1.50,02' } },
          { 'x-mlcdn-live-version': { value: 'forged' } },
        ),
        { 'live:ranker': '7' },
      );
      expect(result.headers).toEqual({ 'x-mlcdn-live-version': { value: '7' } });
      expect(result.querystring).toEqual({ features: { value: '1.5,2' }, model: { value: 'ranker' } });
      expect(groups.map((group) => group.originIds.map((origin) => origin.originId))).toEqual([
        ['edge', 'edge-failover'],
      ]);
    });

    test('drops a forged version header when the store knows none', () => {
      const { result } = runFunction(
        get('/predict', { features: { value: '1' } }, { 'x-mlcdn-live-version': { value: '9' } }),
      );
      expect(result.headers).toEqual({});
    });

    test('keeps a version that the client pins, and leaves POST to one origin', () => {
      const pinned = runFunction(get('/predict', { features: { value: '1' }, version: { value: '2' } }), {
        'live:ranker': '7',
      });
      expect(pinned.result.querystring?.version).toEqual({ value: '2' });
      expect(pinned.result.headers).toEqual({});
      expect(runFunction({ ...get('/predict'), method: 'POST' }).groups).toEqual([]);
    });

    const longAndNotAscii = `٣,${'1'.repeat(61)}+`;
    test.each(['٣+', longAndNotAscii, 'é'])('passes on text that is no number, as %j', (text) => {
      const { result } = runFunction(get('/predict', { features: { value: text } }));
      const { features = [] } = canonicalPredictionQuery({ features: [text] }, 'ranker');
      expect(result.querystring?.features).toEqual({ value: features[0] });
    });

    test('spells every query as the canonical query of the tests does', () => {
      const batches = fc.array(predictionQuery, { minLength: 100, maxLength: 200 });
      fc.assert(
        fc.property(batches, (queries) => {
          const { results } = runViewerRequests(queries.map((query) => get('/predict', fieldsOf(query))));
          const expected = queries.map((query) => Object.entries(canonicalPredictionQuery(query, 'ranker')));
          expect(results.map(valuesOf)).toEqual(expected);
        }),
        { numRuns: 10, endOnFailure: true },
      );
    });

    test.each(['/metrics', '/METRICS/', '/%6detrics', '//metrics'])('answers 404 to %s', (uri) => {
      expect(runFunction(get(uri)).result.statusCode).toBe(404);
    });
  },
);

test('the compiled function is refused when it is larger than CloudFront allows', () => {
  expect(() => viewerRequestCode({ defaultModel: 'm'.repeat(11_000), originIds: ['edge'] })).toThrow(
    /10240|10,240|10 KB/,
  );
});

(NJS_MISSING ? describe.skip : describe)(
  NJS_MISSING
    ? 'the choice of a region on njs (skipped: install the Debian package njs)'
    : 'the choice of a region on njs',
  () => {
    const REGIONS = ['us-east-1', 'eu-west-1', 'ap-northeast-1'] as const;
    const now = () => Math.floor(Date.now() / 1000);
    const tokyo = {
      'cloudfront-viewer-latitude': { value: '35.68000' },
      'cloudfront-viewer-longitude': { value: '139.65000' },
    };
    const choose = (request: object, table?: string) => {
      const { groups, selected } = runViewerRequests([request], table ? { routing: table } : {}, REGIONS);
      return { groups: groups.map(({ originIds }) => originIds.map(({ originId }) => originId)), selected };
    };
    const post = { ...get('/predict'), method: 'POST' };
    const healthy = () => `${now()} us-east-1h10,90 eu-west-1h10,90 ap-northeast-1h10,90`;

    test('a POST goes to the best region, a GET with the second best behind it', () => {
      expect(choose(post, healthy())).toEqual({ groups: [], selected: ['edge-eu-west-1'] });
      expect(choose(get('/predict', {}, tokyo), healthy())).toEqual({
        groups: [['edge-ap-northeast-1', 'edge-eu-west-1']],
        selected: [],
      });
    });

    test.each([
      ['drained', 'd'],
      ['unhealthy', 'u'],
    ])('a region that is %s is avoided', (_what, letter) => {
      const table = healthy().replace(/eu-west-1h10,90/, `eu-west-1${letter}`);
      expect(choose(post, table).selected).toEqual(['edge-us-east-1']);
    });

    test('a full region gives its viewers to the next', () => {
      const full = `${now()} us-east-1h0,100 eu-west-1h100,0 ap-northeast-1h0,100`;
      const azores = {
        ...post,
        headers: { 'cloudfront-viewer-latitude': { value: '37.7' }, 'cloudfront-viewer-longitude': { value: '-25.6' } },
      };
      expect(choose(azores, full).selected).toEqual(['edge-us-east-1']);
    });

    test('the last healthy region has latency routing behind it', () => {
      const table = `${now()} us-east-1u eu-west-1h10,90 ap-northeast-1d`;
      expect(choose(get('/x'), table).groups).toEqual([['edge-eu-west-1', 'edge']]);
    });

    test.each([
      ['no table', undefined],
      ['a stale one', '1700000000 us-east-1h10,90 eu-west-1h10,90'],
      ['one that cannot be read', '{"us-east-1":1}'],
      ['none healthy', `${now()} us-east-1d eu-west-1u ap-northeast-1u`],
      ['the nearest unknown', `${now()} us-east-1h10,90 eu-west-1x ap-northeast-1u`],
    ])('with %s latency routing decides', (_what, table) => {
      expect(choose(post, table)).toEqual({ groups: [], selected: [] });
      expect(choose(get('/x'), table).groups).toEqual([['edge', 'edge-failover']]);
    });

    test('a position that is none is not believed', () => {
      const odd = {
        ...post,
        headers: { 'cloudfront-viewer-latitude': { value: 'x' }, 'cloudfront-viewer-longitude': { value: '5' } },
      };
      expect(choose(odd, healthy()).selected).toEqual(['edge-eu-west-1']);
    });

    test('chooses as the scoring function does on Node', () => {
      const position = fc.record({
        lat: fc.integer({ min: -90, max: 90 }),
        lon: fc.integer({ min: -180, max: 180 }),
      });
      const row = fc.record({
        state: fc.constantFrom('healthy' as const, 'healthy' as const, 'unhealthy' as const, 'drained' as const),
        load: fc.integer({ min: 0, max: 100 }).map((percent) => percent / 100),
        hitRate: fc.integer({ min: 0, max: 100 }).map((percent) => percent / 100),
      });
      fc.assert(
        fc.property(
          fc.tuple(row, row, row),
          fc.array(position, { minLength: 30, maxLength: 60 }),
          (rows, positions) => {
            const measuredAt = now();
            const readings = rows.map((fields, index) => ({ region: REGIONS[index] ?? 'us-east-1', ...fields }));
            const requests = positions.map(({ lat, lon }) => ({
              ...post,
              headers: {
                'cloudfront-viewer-latitude': { value: String(lat) },
                'cloudfront-viewer-longitude': { value: String(lon) },
              },
            }));
            const routing = encodeRoutingTable({ measuredAt, regions: readings });
            const { selected } = runViewerRequests(requests, { routing }, REGIONS);
            const candidates = readings.map((reading) => ({ ...reading, place: roundedPlace(reading.region) }));
            const expected = positions.flatMap((from) => {
              const [first] = rankRegions(candidates, from, viewerMargin('192.0.2.1'));
              return first ? [`edge-${first}`] : [];
            });
            expect([...selected].sort()).toEqual(expected.sort());
          },
        ),
        { numRuns: 10, endOnFailure: true },
      );
    });
  },
);

test('the compiled function loads in the local CDN, its import first', () => {
  const code = viewerRequestCode({ defaultModel: 'ranker', originIds: ['edge'], scoredRegions: ['eu-west-1'] });
  expect(code).toMatch(/^import cf from\s*"cloudfront";\n/);
  expect(() => new EdgeFunction('viewer-request', code, undefined, () => undefined)).not.toThrow();
});

test('the function has room for every region of AWS', () => {
  const scoredRegions = Object.keys(AWS_REGIONS) as RegionCode[];
  const code = viewerRequestCode({ defaultModel: 'm'.repeat(64), originIds: ['edge', 'edge-failover'], scoredRegions });
  expect(Buffer.byteLength(code)).toBeLessThanOrEqual(10_240);
});
