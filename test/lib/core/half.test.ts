import fc from 'fast-check';
import { halfOfNumber, numberOfHalf } from '../../../lib/core/half';

/** Every finite binary16 number that is not negative, in order: their bit patterns are. */
const VALUES = Array.from({ length: 0x7c00 }, (_, bits) => numberOfHalf(bits));

describe('IEEE 754 binary16', () => {
  it.each([
    [0x0000, 0],
    [0x0001, 2 ** -24],
    [0x03ff, 1023 * 2 ** -24],
    [0x0400, 2 ** -14],
    [0x3c00, 1],
    [0x3555, 0.333251953125],
    [0x7bff, 65504],
    [0x7c00, Number.POSITIVE_INFINITY],
    [0x8000, -0],
    [0xc000, -2],
    [0xfc00, Number.NEGATIVE_INFINITY],
    [0x7e00, Number.NaN],
  ])('%d is %d', (bits, value) => {
    expect(numberOfHalf(bits)).toBe(value);
    expect(halfOfNumber(value)).toBe(bits);
  });

  it('every pattern comes back, all NaNs as one', () => {
    for (let bits = 0; bits < 0x10000; bits += 1) {
      const value = numberOfHalf(bits);
      const expected = Number.isNaN(value) ? 0x7e00 : bits;
      if (halfOfNumber(value) !== expected) throw new Error(`${bits} became ${halfOfNumber(value)}`);
    }
  });

  it('rounds to the nearest, and half way to the even one', () => {
    const near = fc.nat({ max: VALUES.length - 2 }).chain((bits) => {
      const [low = 0, high = 0] = VALUES.slice(bits, bits + 2);
      const between = fc.double({ min: low, max: high, noNaN: true });
      return fc.tuple(fc.constant(bits), fc.oneof(between, fc.constant((low + high) / 2)));
    });
    fc.assert(
      fc.property(near, ([bits, value]) => {
        const [low = 0, high = 0] = VALUES.slice(bits, bits + 2);
        const [below, above] = [value - low, high - value];
        const expected = below === above ? bits + (bits % 2) : below < above ? bits : bits + 1;
        expect(halfOfNumber(value)).toBe(expected);
        if (value !== 0) expect(halfOfNumber(-value)).toBe(expected | 0x8000);
      }),
      { numRuns: 2000 },
    );
  });
});
