import fc from 'fast-check';
import { encodeEntry } from '../../../../containers/edge/cache/entry-codec';
import { decodeL1Value, encodeL1Value, isIntact, STAMP_BYTES } from '../../../../containers/edge/cache/l1-value';
import { entryOf } from './fixtures';

const entry = fc
  .record({
    key: fc.string({ unit: 'grapheme' }),
    body: fc.uint8Array({ maxLength: 600 }).map((bytes) => Buffer.from(bytes)),
    tags: fc.array(fc.string(), { maxLength: 4 }),
  })
  .map(({ key, ...fields }) => entryOf(key, fields));

describe('the value of an entry in L1', () => {
  it('gives the entry back', () => {
    fc.assert(
      fc.property(entry, (one) => {
        const value = encodeL1Value(one);
        expect(isIntact(value)).toBe(true);
        expect(decodeL1Value(one.key, value)).toEqual(one);
        expect(decodeL1Value(`${one.key}x`, value)).toBeUndefined();
      }),
    );
  });

  it('is not intact with any bit flipped', () => {
    fc.assert(
      fc.property(entry, fc.nat(), (one, place) => {
        const value = encodeL1Value(one);
        const bit = place % (value.length * 8);
        value[bit >> 3] = (value[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        expect(isIntact(value)).toBe(false);
      }),
    );
  });

  it('is not intact with any end cut off, with anything added, or without its sum', () => {
    fc.assert(
      fc.property(entry, fc.nat(), fc.uint8Array({ minLength: 1, maxLength: 9 }), (one, cut, more) => {
        const value = encodeL1Value(one);
        expect(isIntact(value.subarray(0, cut % value.length))).toBe(false);
        expect(isIntact(Buffer.concat([value, more]))).toBe(false);
        expect(isIntact(Buffer.concat([value.subarray(0, STAMP_BYTES), encodeEntry(one)]))).toBe(false);
      }),
    );
  });
});
