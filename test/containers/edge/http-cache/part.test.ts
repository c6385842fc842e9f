import type { IncomingMessage } from 'node:http';
import fc from 'fast-check';
import { partAnswer, partOf } from '../../../../containers/edge/http-cache/part';
import type { ResponseHead, StoredPart } from '../../../../containers/edge/http-cache/stored-response';

const WHOLE = Buffer.from(Array.from({ length: 60 }, (_, i) => i));

function headWith(part: StoredPart): ResponseHead {
  return {
    status: 206,
    statusText: 'Partial Content',
    headers: { etag: '"a"', 'content-range': `bytes ${part.first}-${part.last}/${part.complete ?? '*'}` },
    responseTime: 0,
    freshness: {
      lifetime: 60,
      initialAge: 0,
      alwaysRevalidate: false,
      neverStale: false,
      staleWhileRevalidate: 0,
      staleIfError: 0,
    },
    staleOnServerError: false,
    tags: [],
    part,
    bodyBytes: part.last - part.first + 1,
    bodyPlace: { kind: 'inline' },
  };
}

function answer(part: StoredPart, headers: Record<string, string>, method = 'GET') {
  const request = { method, headers } as Partial<IncomingMessage> as IncomingMessage;
  const provenance = { cacheStatus: 'x', ageSeconds: 1, level: 'memory' } as const;
  const answered = partAnswer(request, headWith(part), WHOLE.subarray(part.first, part.last + 1), provenance);
  if (!answered) return undefined;
  if (answered.body.kind !== 'bytes') throw new Error('the body is not in memory');
  return { range: answered.headers['content-range'], bytes: [...answered.body.bytes] };
}

const PART: StoredPart = { first: 10, last: 19, complete: 60, asked: 'bytes=10-19' };
const inPart = (first: number, last: number) => ({
  range: `bytes ${first}-${last}/60`,
  bytes: [...WHOLE.subarray(first, last + 1)],
});

describe('a 206', () => {
  it.each([
    ['bytes 0-4/10', '5', { first: 0, last: 4, complete: 10 }],
    ['bytes 0-4/*', '5', { first: 0, last: 4, complete: undefined }],
    ['bytes 0-4/10', undefined, { first: 0, last: 4, complete: 10 }],
    ['bytes 0-4/10', '4', undefined],
    ['bytes 0-4/10', 'five', undefined],
    ['bytes */10', '0', undefined],
    [undefined, '5', undefined],
  ])('with Content-Range %s and Content-Length %s', (contentRange, length, expected) => {
    const headers = {
      ...(contentRange === undefined ? {} : { 'content-range': contentRange }),
      ...(length === undefined ? {} : { 'content-length': length }),
    };
    expect(partOf(headers, 'bytes=0-4')).toEqual(expected && { ...expected, asked: 'bytes=0-4' });
  });
});

describe('a stored part', () => {
  it('answers for itself and for what is within it', () => {
    expect(answer(PART, { range: 'bytes=10-19' })).toEqual(inPart(10, 19));
    expect(answer(PART, { range: 'bytes=12-13' })).toEqual(inPart(12, 13));
    expect(answer(PART, { range: 'bytes=12-13', 'if-range': '"a"' })).toEqual(inPart(12, 13));
  });

  it.each<[string, string, Record<string, string>]>([
    ['what begins before it', 'GET', { range: 'bytes=9-12' }],
    ['what ends after it', 'GET', { range: 'bytes=12-20' }],
    ['what goes on to the end', 'GET', { range: 'bytes=12-' }],
    ['what is counted from the end', 'GET', { range: 'bytes=-5' }],
    ['several ranges', 'GET', { range: 'bytes=10-11,13-14' }],
    ['the whole', 'GET', {}],
    ['a HEAD', 'HEAD', { range: 'bytes=10-19' }],
    ['a range of another version', 'GET', { range: 'bytes=10-19', 'if-range': '"b"' }],
    ['a client that has it already', 'GET', { range: 'bytes=10-19', 'if-none-match': '"a"' }],
  ])('does not answer for %s', (_what, method, headers) => {
    expect(answer(PART, headers, method)).toBeUndefined();
  });

  it('of a whole of unknown size answers for what was asked, and nothing else', () => {
    const part = { ...PART, complete: undefined };
    expect(answer(part, { range: 'bytes=10-19' })?.range).toBe('bytes 10-19/*');
    expect(answer(part, { range: 'bytes=12-13' })).toBeUndefined();
  });

  it('never gives other bytes than the whole would', () => {
    const bound = fc.oneof(fc.constant(''), fc.nat(70).map(String));
    fc.assert(
      fc.property(fc.nat(59), fc.nat(59), bound, bound, (one, other, from, to) => {
        const [first, last] = [Math.min(one, other), Math.max(one, other)];
        const range = `bytes=${from}-${to}`;
        const answered = answer({ first, last, complete: 60, asked: `bytes=${first}-${last}` }, { range });
        if (!answered) return;
        const start = from === '' ? Math.max(0, 60 - Number(to)) : Number(from);
        const end = from === '' || to === '' ? 59 : Math.min(59, Number(to));
        expect(answered).toEqual(inPart(start, end));
      }),
      { numRuns: 1000 },
    );
  });
});
