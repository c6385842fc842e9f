/** How keys are listed: under a prefix, rolled up at a delimiter, from a position on, so many at most. */
export interface ListingQuery {
  readonly prefix: string;
  /** Empty for none. */
  readonly delimiter: string;
  /** Keys, and common prefixes, up to and including this one are left out. Empty to start at the beginning. */
  readonly after: string;
  readonly maxKeys: number;
}

/** One page of a listing. A common prefix counts as one key. */
export interface ListingPage {
  readonly keys: readonly string[];
  readonly commonPrefixes: readonly string[];
  /** Position to go on from; `undefined` on the last page. */
  readonly next: string | undefined;
}

/** Lists `sortedKeys` (in the order of their UTF-8 bytes) as ListObjectsV2 defines it. */
export function listKeys(sortedKeys: Iterable<string>, query: ListingQuery): ListingPage {
  const keys: string[] = [];
  const commonPrefixes: string[] = [];
  let last = query.after;
  for (const key of sortedKeys) {
    const commonPrefix = commonPrefixOf(key, query);
    const item = commonPrefix ?? key;
    if (!key.startsWith(query.prefix) || compareUtf8(item, last) <= 0) continue;
    if (keys.length + commonPrefixes.length >= query.maxKeys) {
      return { keys, commonPrefixes, next: query.maxKeys === 0 ? undefined : last };
    }
    if (commonPrefix === undefined) keys.push(key);
    else commonPrefixes.push(commonPrefix);
    last = item;
  }
  return { keys, commonPrefixes, next: undefined };
}

/** `key` up to and with the first delimiter after the prefix. */
function commonPrefixOf(key: string, { prefix, delimiter }: ListingQuery): string | undefined {
  const end = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length);
  return end < 0 ? undefined : key.slice(0, end + delimiter.length);
}

/** Order of UTF-8 bytes, which differs from that of UTF-16 only beyond the basic plane. */
export function compareUtf8(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
