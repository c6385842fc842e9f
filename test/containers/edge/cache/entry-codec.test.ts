import fc from 'fast-check';
import {
  decodeEntry,
  decodeEntryOf,
  EntryFormatError,
  encodeEntry,
} from '../../../../containers/edge/cache/entry-codec';
import type { CacheEntry } from '../../../../containers/edge/cache/types';
import { entryOf } from './fixtures';

const text = fc.oneof(fc.string({ unit: 'grapheme' }), fc.constantFrom('model:ranker', 'model:ranker@v1', 'é', ''));
const entry: fc.Arbitrary<CacheEntry> = fc.record({
  key: text,
  body: fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes)),
  tags: fc.oneof(fc.array(text, { maxLength: 4 }), fc.constant(['x'.repeat(600)])),
  stamp: fc.record({ epoch: fc.constantFrom('a', 'epoch b', 'é'), seq: fc.nat(3) }),
  storedAt: fc.double({ noNaN: true }),
  ttlMs: fc.nat(),
  staleWhileRevalidateMs: fc.nat(),
  staleIfErrorMs: fc.nat(),
});

describe('the binary form of entries', () => {
  it('gives back each of many that share epochs and tags', () => {
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 20 }), fc.nat(8), (entries, start) => {
        for (const one of entries) {
          const bytes = Buffer.concat([Buffer.alloc(start), encodeEntry(one)]);
          expect(decodeEntry(bytes, start)).toEqual(one);
          expect(decodeEntryOf(one.key, bytes, start)).toEqual(one);
        }
      }),
    );
  });

  it('tells another key, however alike', () => {
    fc.assert(
      fc.property(entry, text, (one, other) => {
        const decoded = decodeEntryOf(other, encodeEntry(one));
        expect(decoded === undefined).toBe(other !== one.key);
      }),
    );
    // 0xE9 by itself is no UTF-8, though it is é in Latin-1.
    const bytes = encodeEntry(entryOf('e'));
    bytes[bytes.indexOf('e', 51)] = 0xe9;
    expect(decodeEntryOf('é', bytes)).toBeUndefined();
  });

  it('is refused with any end cut off, and with anything added', () => {
    fc.assert(
      fc.property(entry, fc.nat(), (one, cut) => {
        const bytes = encodeEntry(one);
        const short = bytes.subarray(0, cut % bytes.length);
        expect(() => decodeEntry(short)).toThrow(EntryFormatError);
        expect(() => decodeEntryOf(one.key, short)).toThrow(EntryFormatError);
        expect(() => decodeEntry(Buffer.concat([bytes, Buffer.alloc(1)]))).toThrow(EntryFormatError);
      }),
    );
  });

  it('copies no body: what is decoded has a part of the bytes', () => {
    const bytes = encodeEntry(entryOf('k', { body: Buffer.alloc(1_000) }));
    bytes.fill('x', bytes.length - 1_000);
    expect(decodeEntry(bytes).body.toString()).toBe('x'.repeat(1_000));
    const decoded = decodeEntry(bytes);
    bytes.fill('y', bytes.length - 1_000);
    expect(decoded.body.toString()).toBe('y'.repeat(1_000));
  });
});
