import fc from 'fast-check';
import { type PlainForm, plainFormOf } from '../../../../containers/edge/http-cache/plain-form';
import {
  decodeHeld,
  decodePlain,
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
const PLAIN_HEAD: ResponseHead = {
  ...{ status: 200, statusText: 'Fine', responseTime: 5, staleOnServerError: false, tags: ['a', 'b'], bodyBytes: 2 },
  headers: {
    etag: '"1"',
    'set-cookie': ['a=1', 'b=2'],
    'cache-status': 'behind; hit',
    age: '3',
    'content-length': '9',
  },
  bodyPlace: { kind: 'inline' },
  freshness: {
    ...{ lifetime: 60, initialAge: 3, alwaysRevalidate: false, neverStale: false },
    ...{ staleWhileRevalidate: 0, staleIfError: 0 },
  },
};
const withBody = (form: PlainForm | undefined, inlineBody: Buffer) => form && { form, inlineBody };
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

  it('is decoded once for an entry that memory holds', () => {
    const entry = entryOf('k', { body: encodeVaries(['accept']) });
    expect(decodeHeld(entry)).toBe(decodeHeld(entry));
    expect(decodeHeld(entry)).toEqual(decodeStored(entry));
  });

  it('has a plain form just where a plain answer may be given of it, with what the answer says', () => {
    fc.assert(
      fc.property(headOf, bytes, (head, body) => {
        const entry = entryOf('k', { body: encodeResponse(head, body) });
        expect(decodePlain(entry)).toEqual(withBody(plainFormOf(head, body.length), body));
      }),
    );
  });

  it('is read without harm wherever it was cut off or overwritten', () => {
    const bytesOf = fc.uint8Array({ minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(headOf, bytes, fc.nat(), bytesOf, (head, body, at, damage) => {
        const whole = encodeResponse(head, body);
        const place = at % whole.length;
        const damaged = Buffer.from(whole);
        Buffer.from(damage).copy(damaged, place);
        for (const entry of [whole.subarray(0, place), damaged].map((each) => entryOf('k', { body: each }))) {
          expect(() => [decodePlain(entry), decodeStored(entry)]).not.toThrow();
        }
      }),
    );
  });

  it('has no head and no list of fields made of JSON that is something else', () => {
    const ofKind = (kind: number, json: string) => {
      const body = Buffer.alloc(9 + json.length);
      body.writeUInt8(32 + kind, 0);
      body.writeUInt32LE(json.length, 1);
      body.write(json, 9);
      return decoded(body);
    };
    for (const json of ['null', '1', '{}', '{"headers":null,"freshness":{}}', '{"headers":{},"freshness":null}']) {
      expect(ofKind(0, json)).toBeUndefined();
    }
    for (const json of ['null', '{}', '[1]', '["accept",null]']) expect(ofKind(1, json)).toBeUndefined();
    expect(ofKind(1, '["accept"]')).toEqual({ kind: 'varies', names: ['accept'] });
  });

  it('has a plain form for nearly every response', () => {
    const form = plainFormOf(PLAIN_HEAD, 2);
    expect(form).toMatchObject({
      status: 200,
      statusBehind: 'behind; hit',
      lifetime: 60,
      initialAge: 3,
      responseTime: 5,
    });
    expect(form?.start).toBe(
      'HTTP/1.1 200 Fine\r\netag: "1"\r\nset-cookie: a=1\r\nset-cookie: b=2\r\nx-amz-meta-cache-tag: a,b\r\ncontent-length: 2\r\n',
    );
  });

  it.each<[string, Partial<ResponseHead>]>([
    ['a part', { part: { first: 0, last: 1, complete: 2, asked: 'bytes=0-1' } }],
    ['a body in a file', { bodyPlace: { kind: 'file', id: 'x' } }],
    ['a status without a body', { status: 204 }],
    ['a value that would end its line', { headers: { 'x-bad': 'a\r\nb: c' } }],
    ['a value that no single byte can say', { headers: { 'x-wide': '\u0100' } }],
    ['such a reason', { statusText: 'no\nreason' }],
    ['such a tag', { tags: ['a\u0000'] }],
  ])('has none for %s', (_what, fields) => {
    expect(plainFormOf({ ...PLAIN_HEAD, ...fields }, 2)).toBeUndefined();
  });

  it('is never fresh in its plain form when the origin is to be asked each time', () => {
    const freshness = { ...PLAIN_HEAD.freshness, alwaysRevalidate: true };
    expect(plainFormOf({ ...PLAIN_HEAD, freshness }, 2)?.lifetime).toBeLessThan(0);
  });

  it('is nothing when it was written by another version, or is not whole', () => {
    const written = encodeVaries(['accept']);
    const ofAnother = Buffer.from(written);
    ofAnother[0] = (ofAnother[0] ?? 0) + 16;
    expect(decoded(ofAnother)).toBeUndefined();
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
          [Buffer.from([32])],
          [Buffer.from([32, 2, 0, 0, 0, 0, 0, 0, 0, 0x7b])],
          [Buffer.from([32, 2, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0x7d])],
          [Buffer.from([35, 2, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0x7d])],
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
