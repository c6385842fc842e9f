import fc from 'fast-check';
import { viewerRequestCode } from '../../lib/constructs/viewer-request-function';
import { canonicalPredictionQuery, type QueryValues } from '../../lib/core/canonical-query';
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
