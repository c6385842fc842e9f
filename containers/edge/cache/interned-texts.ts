import { fnv1aOfBytes } from './fnv1a';

const EMPTY = Buffer.alloc(0);
const NO_TAGS: readonly string[] = Object.freeze([]);
/** Lists that are remembered at most; a power of two. */
const LISTS = 256;
/** A longer list is read anew each time: it is hardly that of many entries, and the table stays small. */
const MAX_BYTES = 512;

/** Reads a text that is mostly the one it has read before. */
export class LastText {
  #bytes = EMPTY;
  #text = '';

  /** The UTF-8 text in `bytes` from `from` to `to`. */
  read(bytes: Buffer, from: number, to: number): string {
    if (isAt(this.#bytes, bytes, from, to)) return this.#text;
    this.#bytes = Buffer.from(bytes.subarray(from, to));
    this.#text = bytes.toString('utf8', from, to);
    return this.#text;
  }
}

/**
 * Reads lists of tags, each behind its length, and gives entries that carry the same tags the same list: those of one
 * model do. A table of fixed size, in which a list takes the place of another with the same hash.
 */
export class InternedTags {
  readonly #lists: ({ readonly bytes: Buffer; readonly tags: readonly string[] } | undefined)[] = new Array(LISTS).fill(
    undefined,
  );

  /** Tags from `from` to `to`, where one is known to end. */
  read(bytes: Buffer, from: number, to: number): readonly string[] {
    if (from === to) return NO_TAGS;
    if (to - from > MAX_BYTES) return tagsAt(bytes, from, to);
    const place = fnv1aOfBytes(bytes, from, to) & (LISTS - 1);
    const known = this.#lists[place];
    if (known !== undefined && isAt(known.bytes, bytes, from, to)) return known.tags;
    const tags = tagsAt(bytes, from, to);
    this.#lists[place] = { bytes: Buffer.from(bytes.subarray(from, to)), tags };
    return tags;
  }
}

function tagsAt(bytes: Buffer, from: number, to: number): readonly string[] {
  const tags: string[] = [];
  for (let at = from; at < to; ) {
    const end = at + 2 + bytes.readUInt16LE(at);
    tags.push(bytes.toString('utf8', at + 2, end));
    at = end;
  }
  return tags;
}

function isAt(known: Buffer, bytes: Buffer, from: number, to: number): boolean {
  if (known.length !== to - from) return false;
  for (let i = 0; i < known.length; i++) if (known[i] !== bytes[from + i]) return false;
  return true;
}
