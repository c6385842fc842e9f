import { type Headers, headerValue } from './headers';

/** An inclusive range of bytes. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

/** How a successful answer is given to a viewer who set conditions. */
export type Delivery =
  | { readonly kind: 'whole' }
  | { readonly kind: 'not-modified' }
  | { readonly kind: 'unsatisfiable'; readonly length: number }
  | { readonly kind: 'part'; readonly range: ByteRange; readonly length: number };

/**
 * Evaluates the viewer's conditions and range against an answer, by RFC 9110, sections 13.2.2 and 14.2. Several ranges
 * at once, and ranges of a body whose length is not known yet, are answered whole, as the RFC allows.
 *
 * @param length bytes of the body, `undefined` when it is not known
 */
export function deliver(request: Headers, status: number, answer: Headers, length: number | undefined): Delivery {
  if (status !== 200) return { kind: 'whole' };
  if (isUnmodified(request, answer)) return { kind: 'not-modified' };
  const range = headerValue(request, 'range');
  if (range === undefined || length === undefined || !rangeApplies(request, answer)) return { kind: 'whole' };
  const [, first = '', last = ''] = /^bytes=(\d*)-(\d*)$/.exec(range.trim()) ?? [];
  if (first === '' && last === '') return { kind: 'whole' };
  if (first === '') {
    const suffix = Math.min(Number(last), length);
    if (suffix === 0) return { kind: 'unsatisfiable', length };
    return { kind: 'part', range: { first: length - suffix, last: length - 1 }, length };
  }
  if (last !== '' && Number(last) < Number(first)) return { kind: 'whole' };
  if (Number(first) >= length) return { kind: 'unsatisfiable', length };
  const end = last === '' ? length - 1 : Math.min(Number(last), length - 1);
  return { kind: 'part', range: { first: Number(first), last: end }, length };
}

/** The bytes of a range, in the chunks in which they come. */
export async function* slice(body: AsyncIterable<Buffer>, range: ByteRange): AsyncGenerator<Buffer> {
  let at = 0;
  for await (const chunk of body) {
    const from = Math.max(range.first - at, 0);
    const to = Math.min(range.last + 1 - at, chunk.length);
    if (from < to) yield chunk.subarray(from, to);
    at += chunk.length;
    if (at > range.last) return;
  }
}

function isUnmodified(request: Headers, answer: Headers): boolean {
  const wanted = headerValue(request, 'if-none-match');
  const etag = headerValue(answer, 'etag');
  if (wanted !== undefined) {
    if (etag === undefined) return false;
    return wanted.trim() === '*' || wanted.split(',').some((candidate) => opaque(candidate) === opaque(etag));
  }
  const since = Date.parse(headerValue(request, 'if-modified-since') ?? '');
  const modified = Date.parse(headerValue(answer, 'last-modified') ?? '');
  return !Number.isNaN(since) && !Number.isNaN(modified) && modified <= since;
}

/** `If-Range` needs a strong validator (RFC 9110, section 13.1.5). */
function rangeApplies(request: Headers, answer: Headers): boolean {
  const condition = headerValue(request, 'if-range')?.trim();
  if (condition === undefined) return true;
  const etag = headerValue(answer, 'etag');
  if (condition.startsWith('"')) return condition === etag;
  return condition === headerValue(answer, 'last-modified');
}

function opaque(etag: string): string {
  return etag.trim().replace(/^W\//, '');
}
