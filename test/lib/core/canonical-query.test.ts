import fc from 'fast-check';
import { canonicalPredictionQuery, type QueryValues } from '../../../lib/core/canonical-query';

const canonical = (query: QueryValues) => canonicalPredictionQuery(query, 'ranker');
const features = (value: string) => canonical({ features: [value] }).features?.[0];

describe('canonicalPredictionQuery', () => {
  test('keeps what a prediction depends on, in order, and names the default model', () => {
    const result = canonical({ version: ['2'], utm_source: ['x'], features: ['1,2'], _: ['123'] });
    expect(Object.entries(result)).toEqual([
      ['features', ['1,2']],
      ['model', ['ranker']],
      ['version', ['2']],
    ]);
  });

  test.each([
    ['1.0, 2.50 ,-0,+3', '1,2.5,0,3'],
    ['1e0,100e-2,.5,5.', '1,1,0.5,5'],
    ['1%2C2%2c%33', '1,2,3'],
    ['1+,%202', '1,2'],
    ['1e21,1000000000000000000000,1e20', '1e21,1e21,100000000000000000000'],
    ['9007199254740993.0', '9007199254740993'],
    ['12300e-1,0.0001230,.000000123,-00', '1230,0.000123,1.23e-7,0'],
    ['1e999,1E-0999', '1e999,1e-999'],
    ['0.1e-6', '1e-7'],
  ])('features=%s becomes %s', (given, expected) => {
    expect(features(given)).toBe(expected);
  });

  test.each(['x', '1,,2', '0x10', 'Infinity', '1e9999999999', 'NaN', '1_000'])(
    'features=%s stays for the service to judge',
    (given) => {
      expect(features(given)).toBe(given);
    },
  );

  test('keeps repeated parameters, which the service refuses', () => {
    expect(canonical({ features: ['1.0', '2'], model: ['a', 'b'] })).toEqual({
      features: ['1', '2'],
      model: ['a', 'b'],
    });
  });

  test('survives a broken escape', () => {
    expect(canonical({ model: ['%zz'] }).model).toEqual(['%25zz']);
  });

  const wellFormed = fc.string({ unit: 'binary' }).filter((text) => !/\p{Cs}/u.test(text));
  const queries = fc.dictionary(
    fc.oneof(fc.constantFrom('features', 'model', 'version', 'other'), fc.string()),
    fc.array(fc.oneof(wellFormed, fc.array(fc.double()).map(String)), { minLength: 1, maxLength: 3 }),
  );

  test('is idempotent', () => {
    fc.assert(
      fc.property(queries, (query) => {
        const once = canonical(query);
        expect(canonical(once)).toEqual(once);
      }),
    );
  });

  test('does not depend on the order of the parameters', () => {
    fc.assert(
      fc.property(queries, (query) => {
        const reversed = Object.fromEntries(Object.entries(query).reverse());
        expect(Object.entries(canonical(reversed))).toEqual(Object.entries(canonical(query)));
      }),
    );
  });

  test('spells every finite number so that it reads back the same', () => {
    const numbers = fc.double({ noNaN: true, noDefaultInfinity: true });
    fc.assert(
      fc.property(fc.array(numbers, { minLength: 1 }), (row) => {
        const text = decodeURIComponent(features(encodeURIComponent(row.join(','))) ?? '');
        expect(text.split(',').map(Number)).toEqual(row.map((value) => (value === 0 ? 0 : value)));
      }),
    );
  });
});
