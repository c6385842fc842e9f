import { decodeEntry, EntryFormatError } from './entry-codec';
import type { EntryHeads } from './entry-heads';
import { decodeRecord, type Segment } from './entry-segments';
import { type CacheEntry, type Position, retainedUntil } from './types';

/** Where an entry's record lies. */
export interface Location {
  readonly segment: Segment;
  readonly offset: number;
  readonly length: number;
  readonly storedAt: number;
  readonly stamp: Position;
  /** Wall-clock ms since 1970. */
  readonly retainedUntil: number;
  /** Read since it was written: worth writing again when its segment goes. */
  wasRead: boolean;
}

/** Location of an entry that was just written, or found. */
export function locationOf(entry: CacheEntry, at: Pick<Location, 'segment' | 'offset' | 'length'>): Location {
  // Spelt out: spreading `at` costs several times as much.
  return {
    segment: at.segment,
    offset: at.offset,
    length: at.length,
    storedAt: entry.storedAt,
    stamp: entry.stamp,
    retainedUntil: retainedUntil(entry),
    wasRead: false,
  };
}

/** As `locationOf`, of an entry that is not decoded. */
export function locationOfHead(
  heads: EntryHeads,
  start: number,
  at: Pick<Location, 'segment' | 'offset' | 'length'>,
): Location {
  return {
    segment: at.segment,
    offset: at.offset,
    length: at.length,
    storedAt: heads.storedAtAt(start),
    stamp: heads.stampAt(start),
    retainedUntil: heads.retainedUntilAt(start),
    wasRead: false,
  };
}

/** The entry of a whole record, `undefined` when it is damaged or another version's. */
export function entryOfRecord(bytes: Buffer, segment: Segment): CacheEntry | undefined {
  const record = decodeRecord(bytes, segment);
  return record?.kind === 'entry' ? readableEntry(record.payload) : undefined;
}

/** The entry of a record's payload, `undefined` when another version wrote it. */
export function readableEntry(payload: Buffer): CacheEntry | undefined {
  try {
    return decodeEntry(payload);
  } catch (error) {
    if (error instanceof EntryFormatError) return undefined;
    throw error;
  }
}

/** Which entries the segments hold. While old segments are still being read, what is known already is newer. */
export class DiskIndex {
  readonly #locations = new Map<string, Location>();
  /** Keys whose entry was written to a segment, whether it still lies there or not. */
  readonly #keys = new Map<Segment, string[]>();
  /** Keys of which what older segments say no longer holds; kept while those are being read. */
  #gone: Set<string> | undefined = new Set();

  get size(): number {
    return this.#locations.size;
  }

  get loading(): boolean {
    return this.#gone !== undefined;
  }

  get(key: string): Location | undefined {
    return this.#locations.get(key);
  }

  place(key: string, location: Location): void {
    this.#locations.set(key, location);
    const keys = this.#keys.get(location.segment);
    if (keys) keys.push(key);
    else this.#keys.set(location.segment, [key]);
  }

  forget(key: string): void {
    this.#locations.delete(key);
    this.#gone?.add(key);
  }

  forgetSegment(segment: Segment): void {
    for (const key of this.#keys.get(segment) ?? []) {
      if (this.#locations.get(key)?.segment === segment) this.forget(key);
    }
    this.#keys.delete(segment);
  }

  /** Keys of the segment's entries that were read since they were written and are kept beyond `now`. */
  wantedKeys(segment: Segment, now: number): Set<string> {
    const isWanted = (key: string): boolean => {
      const location = this.#locations.get(key);
      return location?.segment === segment && location.wasRead && location.retainedUntil > now;
    };
    return new Set(this.#keys.get(segment)?.filter(isWanted));
  }

  /** Whether what older records say of the key no longer holds. */
  isKnown(key: string): boolean {
    if (this.#locations.has(key)) return true;
    return this.#gone !== undefined && this.#gone.size > 0 && this.#gone.has(key);
  }

  /**
   * Takes over what an old record says of a key that is not known, `undefined` when it says that the key is gone. Newest
   * record first.
   */
  inherit(key: string, location: Location | undefined): void {
    if (location) this.place(key, location);
    else this.#gone?.add(key);
  }

  /** Every old segment has been read. */
  loaded(): void {
    this.#gone = undefined;
  }
}
