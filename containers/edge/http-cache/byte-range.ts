/** Bytes `first` to `last` of a representation, both included. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

/** What a `Content-Range` says: the part that came and the size of the whole, `undefined` when unknown. */
export interface ContentRange extends ByteRange {
  readonly complete: number | undefined;
}

/**
 * The one range that a `Range` field asks for, against a representation of `size` bytes. `undefined` for anything that
 * is to be ignored: another unit, several ranges, malformed. `'unsatisfiable'` calls for 416. RFC 9110, 14.1.2.
 */
export function parseRange(field: string, size: number): ByteRange | 'unsatisfiable' | undefined {
  const match = /^\s*bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*$/i.exec(field);
  const [, from = '', to = ''] = match ?? [];
  if (!match || (from === '' && to === '')) return undefined;
  if (from === '') {
    const suffix = Math.min(Number(to), size);
    // Satisfiable, yet no Content-Range can name a part of nothing.
    if (size === 0 && Number(to) > 0) return undefined;
    return suffix === 0 ? 'unsatisfiable' : { first: size - suffix, last: size - 1 };
  }
  const first = Number(from);
  const last = to === '' ? size - 1 : Math.min(Number(to), size - 1);
  if (to !== '' && Number(to) < first) return undefined;
  return first >= size ? 'unsatisfiable' : { first, last };
}

/** Reads `Content-Range: bytes 0-4/10`; `undefined` when it is not one that can be placed. RFC 9110, 14.4. */
export function parseContentRange(field: string | undefined): ContentRange | undefined {
  const match = /^bytes (\d+)-(\d+)\/(\d+|\*)$/i.exec(field ?? '');
  if (!match) return undefined;
  const [first, last] = [Number(match[1]), Number(match[2])];
  const complete = match[3] === '*' ? undefined : Number(match[3]);
  if (last < first || (complete !== undefined && last >= complete)) return undefined;
  return { first, last, complete };
}
