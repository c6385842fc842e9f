import fc from 'fast-check';
import { quoteLongIntegers } from '../../../../../containers/edge/http/v2/exact-integers';

describe('integers of 16 digits and more become strings', () => {
  it.each([
    ['[9007199254740993]', '["9007199254740993"]'],
    ['[-9007199254740993,1]', '["-9007199254740993",1]'],
    ['9007199254740993', '"9007199254740993"'],
    ['[900719925474099]', '[900719925474099]'],
    ['[-900719925474099]', '[-900719925474099]'],
    [
      '[9007199254740993.5,9007199254740993e2,1.9007199254740993]',
      '[9007199254740993.5,9007199254740993e2,1.9007199254740993]',
    ],
    ['{"9007199254740993":"9007199254740993"}', '{"9007199254740993":"9007199254740993"}'],
    ['"\\"9007199254740993"', '"\\"9007199254740993"'],
    ['["\\\\",9007199254740993]', '["\\\\","9007199254740993"]'],
  ])('%s', (text, expected) => {
    expect(quoteLongIntegers(text)).toBe(expected);
  });

  it('in any JSON, and nothing else changes', () => {
    fc.assert(
      fc.property(fc.json(), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }), (json, integer) => {
        const text = `{"a":${json},"b":[${integer}]}`;
        const read = JSON.parse(quoteLongIntegers(text), (_, value) => (isLong(value) ? Number(value) : value));
        const plain = JSON.parse(text, (_, value) => (isLong(value) ? Number(value) : value));
        expect(read).toEqual(plain);
        expect(BigInt(JSON.parse(quoteLongIntegers(text)).b[0])).toBe(integer);
      }),
    );
  });
});

function isLong(value: unknown): boolean {
  return typeof value === 'string' && /^-?\d{16,}$/.test(value);
}
