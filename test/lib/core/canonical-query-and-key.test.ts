import { parse } from 'node:querystring';
import fc from 'fast-check';
import { ServiceError } from '../../../containers/edge/errors';
import { parsePredictQuery } from '../../../containers/edge/http/predict-request';
import { parseFeatureRow } from '../../../containers/edge/inference/feature-row';
import { tensorBytes } from '../../../containers/edge/inference/tensors';
import { canonicalPredictionQuery, type QueryValues } from '../../../lib/core/canonical-query';
import type { Datatype } from '../../../lib/core/manifest';
import { ModelName, ModelVersion } from '../../../lib/core/model-name';
import { predictionKey } from '../../../lib/core/prediction-key';
import { featuresOf, finiteNumber, predictionQuery } from '../../support/prediction-queries';

const DEFAULT_MODEL = 'ranker';
const LIVE_VERSION = '7';

const urlOf = (query: QueryValues): string =>
  Object.entries(query)
    .flatMap(([name, values]) => values.map((value) => `${name}=${value}`))
    .join('&');

/** What the service makes of a query: the key under which it looks, or that it refuses. */
function outcome(query: QueryValues, datatype: Datatype): string {
  try {
    const asked = parsePredictQuery(parse(urlOf(query)));
    const model = ModelName.safeParse(asked.model ?? DEFAULT_MODEL);
    const version = ModelVersion.safeParse(asked.version ?? LIVE_VERSION);
    if (!model.success || !version.success) return 'refused';
    const inputs = [{ name: 'x', datatype, shape: [-1, -1] }];
    const tensor = parseFeatureRow({ name: model.data, inputs }, asked.features, 'features');
    const input = { ...tensor, bytes: tensorBytes(tensor) };
    return predictionKey({ model: model.data, version: version.data, inputs: [input] });
  } catch (error) {
    if (error instanceof ServiceError) return 'refused';
    throw error;
  }
}

const canonical = (query: QueryValues) => canonicalPredictionQuery(query, DEFAULT_MODEL);
const spelling = (query: QueryValues) => urlOf(canonical(query));
const rowOf = fc.array(finiteNumber, { minLength: 1, maxLength: 4 });

const NUMERIC = ['FP64', 'FP32', 'INT64', 'UINT64', 'INT32', 'UINT8'] as const;

describe.each(NUMERIC)("the POP's canonical query and the service's key, %s", (datatype) => {
  // Two queries with one canonical query therefore have one key, or are both refused: whatever the POP takes for equal,
  // the service does too.
  it('are of the same prediction: canonicalising changes nothing for the service', () => {
    fc.assert(
      fc.property(predictionQuery, (query) => {
        expect(outcome(canonical(query), datatype)).toBe(outcome(query, datatype));
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('spellings of the same numbers', () => {
  const spellings = rowOf.chain((row) => fc.tuple(featuresOf(row), featuresOf(row)));

  it('have one canonical query and one key', () => {
    fc.assert(
      fc.property(spellings, ([one, other]) => {
        expect(spelling({ features: [one] })).toBe(spelling({ model: [DEFAULT_MODEL], features: [other], _: ['1'] }));
        expect(outcome({ features: [one] }, 'FP64')).toBe(outcome({ features: [other] }, 'FP64'));
        expect(outcome({ features: [one] }, 'FP64')).not.toBe('refused');
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('rows of numbers', () => {
  const pairs = fc.tuple(rowOf, rowOf).chain(([a, b]) => fc.tuple(featuresOf(a), featuresOf(b)));
  const neighbours = finiteNumber.chain((value) => fc.tuple(featuresOf([value]), featuresOf([value * (1 + 2 ** -50)])));

  it('have the same FP64 key exactly when they have the same canonical query', () => {
    fc.assert(
      fc.property(fc.oneof(pairs, neighbours), ([one, other]) => {
        const [a, b] = [{ features: [one] }, { features: [other] }];
        if ([a, b].some((query) => outcome(query, 'FP64') === 'refused')) return;
        expect(outcome(a, 'FP64') === outcome(b, 'FP64')).toBe(spelling(a) === spelling(b));
      }),
      { numRuns: 2_000 },
    );
  });

  // The POP does not know the model's datatype: it keeps two entries where FP32 rounding makes one key of two doubles.
  it('have the same FP32 key exactly when they round to the same FP32 numbers', () => {
    const single = fc.float({ noNaN: true, noDefaultInfinity: true });
    fc.assert(
      fc.property(single, fc.double({ min: 0.5, max: 2, noNaN: true }), (value, factor) => {
        const other = value * (1 + (factor - 1) * 2 ** -22);
        const keys = [value, other].map((number) => outcome({ features: [encodeURIComponent(number)] }, 'FP32'));
        if (keys.includes('refused')) return;
        expect(keys[0] === keys[1]).toBe(Math.fround(value) === Math.fround(other));
      }),
      { numRuns: 1_000 },
    );
    expect(outcome({ features: ['0.1'] }, 'FP32')).toBe(outcome({ features: ['0.10000000149011612'] }, 'FP32'));
    expect(spelling({ features: ['0.1'] })).not.toBe(spelling({ features: ['0.10000000149011612'] }));
  });
});
