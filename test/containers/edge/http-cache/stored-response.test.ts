import fc from 'fast-check';
import {
  decodeStored,
  encodeResponse,
  encodeVaries,
  type ResponseHead,
} from '../../../../containers/edge/http-cache/stored-response';
import { entryOf } from '../cache/fixtures';

const seconds = fc.oneof(
  fc.nat(),
  fc.double({ min: 0, max: 2 ** 31, noNaN: true }).map((value) => value + 0),
);
const text = fc.string({ unit: 'binary' });
const headOf: fc.Arbitrary<ResponseHead> = fc.record(
  {
    status: fc.integer({ min: 200, max: 599 }),
    statusText: text,
    headers: fc.dictionary(
      fc.stringMatching(/^[a-z][a-z0-9-]{0,10}$/),
      fc.oneof(text, fc.array(text, { minLength: 1 })),
      { noNullPrototype: true },
    ),
    responseTime: fc.nat(),
    freshness: fc.record({
      lifetime: seconds,
      initialAge: seconds,
      alwaysRevalidate: fc.boolean(),
      neverStale: fc.boolean(),
      staleWhileRevalidate: seconds,
      staleIfError: seconds,
    }),
    staleOnServerError: fc.boolean(),
    tags: fc.array(text),
    part: fc.record({
      first: fc.nat(),
      last: fc.nat(),
      complete: fc.option(fc.nat(), { nil: undefined }),
      asked: text,
    }),
    bodyBytes: fc.nat(),
    bodyPlace: fc.oneof(
      fc.constant({ kind: 'inline' } as const),
      fc.record({ kind: fc.constant('file' as const), id: text }),
    ),
  },
  {
    requiredKeys: [
      'status',
      'statusText',
      'headers',
      'responseTime',
      'freshness',
      'staleOnServerError',
      'tags',
      'bodyBytes',
      'bodyPlace',
    ],
  },
);
const bytes = fc.uint8Array({ maxLength: 1000 }).map((array) => Buffer.from(array));
const decoded = (body: Buffer) => decodeStored(entryOf('k', { body }));

describe('a stored response', () => {
  it('is read as it was written, head and body', () => {
    fc.assert(
      fc.property(headOf, bytes, (head, body) => {
        const item = decoded(encodeResponse(head, body));
        expect(item).toEqual({ kind: 'response', head, inlineBody: body });
      }),
    );
  });

  it('is decoded once for one entry', () => {
    const entry = entryOf('k', { body: encodeVaries(['accept']) });
    expect(decodeStored(entry)).toBe(decodeStored(entry));
  });

  it('is nothing when it was written by another version, or is not whole', () => {
    const written = encodeVaries(['accept']);
    const ofVersion2 = Buffer.from(written);
    ofVersion2[0] = (ofVersion2[0] ?? 0) + 16;
    expect(decoded(ofVersion2)).toBeUndefined();
    for (let length = 0; length < written.length; length++) {
      expect(decoded(written.subarray(0, length))).toBeUndefined();
    }
  });

  it('is never made of bytes that are none', () => {
    fc.assert(
      fc.property(bytes, (body) => {
        expect(decoded(body)).toBeUndefined();
      }),
      {
        examples: [
          [Buffer.from([16])],
          [Buffer.from([16, 2, 0, 0, 0, 0x7b])],
          [Buffer.from([19, 2, 0, 0, 0, 0x7b, 0x7d])],
        ],
      },
    );
  });
});

it('what tells variants apart is read as it was written', () => {
  fc.assert(
    fc.property(fc.array(text), (names) => {
      expect(decoded(encodeVaries(names))).toEqual({ kind: 'varies', names });
    }),
  );
});
