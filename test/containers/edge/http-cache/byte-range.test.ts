import fc from 'fast-check';
import { parseContentRange, parseRange } from '../../../../containers/edge/http-cache/byte-range';

describe('Range', () => {
  it.each([
    ['bytes=0-4', { first: 0, last: 4 }],
    ['Bytes=0-4', { first: 0, last: 4 }],
    ['bytes=0-0', { first: 0, last: 0 }],
    ['bytes=3-', { first: 3, last: 9 }],
    ['bytes=3-100', { first: 3, last: 9 }],
    ['bytes=9-9', { first: 9, last: 9 }],
    ['bytes=-3', { first: 7, last: 9 }],
    ['bytes=-100', { first: 0, last: 9 }],
    ['bytes=10-', 'unsatisfiable'],
    ['bytes=10-20', 'unsatisfiable'],
    ['bytes=-0', 'unsatisfiable'],
    [`bytes=${'9'.repeat(400)}-`, 'unsatisfiable'],
    [`bytes=0-${'9'.repeat(400)}`, { first: 0, last: 9 }],
  ])('%.30s of ten bytes', (field, expected) => {
    expect(parseRange(field, 10)).toEqual(expected);
  });

  it.each([
    'bytes=4-2',
    'bytes=-',
    'bytes=',
    'bytes',
    '',
    'bytes=0-1,3-4',
    'items=0-4',
    'bytes=a-b',
    'bytes=1 0-20',
    'bytes=+1-2',
  ])('%j is ignored', (field) => {
    expect(parseRange(field, 10)).toBeUndefined();
  });

  it('of nothing is never a part', () => {
    expect(parseRange('bytes=0-', 0)).toBe('unsatisfiable');
    expect(parseRange('bytes=0-0', 0)).toBe('unsatisfiable');
    // Satisfiable by RFC 9110, 14.1.2, yet no Content-Range can say so: the whole answers it.
    expect(parseRange('bytes=-5', 0)).toBeUndefined();
  });

  it('never names a byte outside the representation', () => {
    const position = fc.oneof(fc.constant(''), fc.nat(50).map(String), fc.bigInt({ min: 0n }).map(String));
    const field = fc.oneof(
      fc.tuple(position, position).map(([from, to]) => `bytes=${from}-${to}`),
      fc.string({ unit: fc.constantFrom(...'bytes=0123456789-, ') }).map((rest) => `bytes=${rest}`),
    );
    fc.assert(
      fc.property(field, fc.nat(40), (text, size) => {
        const range = parseRange(text, size);
        if (range === undefined || range === 'unsatisfiable') return;
        expect(range.first).toBeGreaterThanOrEqual(0);
        expect(range.last).toBeGreaterThanOrEqual(range.first);
        expect(range.last).toBeLessThan(size);
      }),
      { numRuns: 2000 },
    );
  });

  it('is what was asked for, as far as there is any', () => {
    fc.assert(
      fc.property(fc.nat(50), fc.nat(50), fc.integer({ min: 1, max: 40 }), (from, more, size) => {
        const expected = Array.from({ length: size }, (_, i) => i).slice(from, from + more + 1);
        const range = parseRange(`bytes=${from}-${from + more}`, size);
        expect(range).toEqual(
          expected.length === 0 ? 'unsatisfiable' : { first: expected[0], last: expected[expected.length - 1] },
        );
      }),
    );
  });
});

describe('Content-Range', () => {
  it.each([
    ['bytes 0-4/10', { first: 0, last: 4, complete: 10 }],
    ['bytes 0-4/*', { first: 0, last: 4, complete: undefined }],
  ])('%s is read', (field, expected) => {
    expect(parseContentRange(field)).toEqual(expected);
  });

  it.each([
    undefined,
    '',
    'bytes */10',
    'bytes 4-0/10',
    'bytes 0-10/10',
    'bytes 0-4',
    'items 0-4/10',
    'bytes 0-4/10, bytes 5-6/10',
  ])('%j cannot be placed', (field) => {
    expect(parseContentRange(field)).toBeUndefined();
  });
});
