import { mkdir } from 'node:fs/promises';
import { setImmediate as yieldToLoop } from 'node:timers/promises';
import type { Logger } from '../control/types';
import { claimDirectory } from './directory-claim';
import { decodeEntry, EntryFormatError, encodeEntry } from './entry-codec';
import {
  createSegment,
  decodeRecord,
  encodeRecord,
  openSegments,
  removeSegment,
  type Segment,
  scanSegment,
} from './entry-segments';
import type { BoundedStore, CacheEntry, Position, StoreUsage } from './types';

/** Where an entry's record lies. */
interface Location {
  readonly segment: Segment;
  readonly offset: number;
  readonly length: number;
  readonly storedAt: number;
  readonly stamp: Position;
}

/** A record on its way to the disk; without an entry it says that the key is gone. */
interface PendingRecord {
  readonly key: string;
  readonly entry: CacheEntry | undefined;
  readonly record: Buffer;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

const MAX_SEGMENT_BYTES = 16 * 1024 * 1024;
/** Segments the bound is divided into at least: so much is given up at once to make room. */
const MIN_SEGMENTS = 8;
/** Records that wait for the disk beyond this are refused: a slow disk must not fill the memory. */
const MAX_PENDING_BYTES = 32 * 1024 * 1024;

/**
 * Tier `l2`: a log of records in segment files, bounded in bytes by deleting the oldest segment. Every record has a
 * CRC-32 that is checked on every read, so a damaged one is a miss. Written segments never change; a new process
 * starts a new one and reads the old ones in the background, so a crash costs at most the records being written.
 */
export class DiskStore implements BoundedStore {
  readonly tier = 'l2';
  /** Resolves when the entries of the process before are usable. */
  readonly loaded: Promise<void>;

  readonly #directory: string;
  readonly #maxBytes: number;
  readonly #segmentBytes: number;
  readonly #releaseDirectory: () => Promise<void>;
  /** Oldest first, with the keys written to each. */
  readonly #segments: Map<Segment, string[]>;
  #active: Segment | undefined;
  #nextNumber: number;
  readonly #locations = new Map<string, Location>();
  readonly #pending = new Map<string, PendingRecord>();
  /** Keys deleted while the old segments are still being read. */
  readonly #removedWhileLoading = new Set<string>();
  #loading = true;
  #queue: PendingRecord[] = [];
  #pendingBytes = 0;
  /** Every change of the files, one after the other. */
  #work: Promise<void> = Promise.resolve();
  #evictions = 0;
  #corrupt = 0;
  #closed = false;

  /** Rejects when the directory cannot be used, or another process uses it. */
  static async open(directory: string, maxBytes: number, log: Logger): Promise<DiskStore> {
    await mkdir(directory, { recursive: true });
    const release = await claimDirectory(directory);
    const store = new DiskStore(directory, maxBytes, release, await openSegments(directory), log);
    await store.#makeRoom(0);
    return store;
  }

  private constructor(
    directory: string,
    maxBytes: number,
    release: () => Promise<void>,
    inherited: readonly Segment[],
    log: Logger,
  ) {
    this.#directory = directory;
    this.#maxBytes = maxBytes;
    this.#segmentBytes = Math.min(MAX_SEGMENT_BYTES, Math.max(1, Math.floor(maxBytes / MIN_SEGMENTS)));
    this.#releaseDirectory = release;
    this.#segments = new Map(inherited.map((segment) => [segment, []]));
    this.#nextNumber = (inherited.at(-1)?.number ?? 0) + 1;
    this.loaded = this.#load(inherited).catch((error: unknown) =>
      log.error({ err: error, directory }, 'disk cache could not be read; starting empty'),
    );
  }

  async get(key: string): Promise<CacheEntry | undefined> {
    const waiting = this.#pending.get(key);
    if (waiting) return waiting.entry;
    const location = this.#locations.get(key);
    if (!location) return undefined;
    const bytes = Buffer.allocUnsafe(location.length);
    try {
      await location.segment.file.read(bytes, 0, location.length, location.offset);
    } catch (error) {
      // The segment may have been deleted while it was read; then this is an ordinary miss.
      if (this.#locations.get(key) !== location) return undefined;
      throw error;
    }
    const entry = entryOfRecord(bytes);
    if (entry?.key === key) return entry;
    this.#corrupt += 1;
    if (this.#locations.get(key) === location) this.#locations.delete(key);
    return undefined;
  }

  /** Resolves when the record is with the operating system. Entries too large for a segment are not kept. */
  async set(entry: CacheEntry): Promise<void> {
    const held = this.#pending.get(entry.key)?.entry ?? this.#locations.get(entry.key);
    // The very entry that is here already comes back by promotion from L1.
    if (!held || !isSameFill(held, entry))
      await this.#append(entry.key, entry, encodeRecord('entry', encodeEntry(entry)));
  }

  async delete(key: string): Promise<void> {
    if (this.#loading) this.#removedWhileLoading.add(key);
    else if (!this.#pending.has(key) && !this.#locations.has(key)) return;
    await this.#append(key, undefined, encodeRecord('removal', Buffer.from(key)));
  }

  async clear(): Promise<void> {
    await this.#inTurn(async () => {
      for (const segment of [...this.#segments.keys()]) await this.#dropSegment(segment);
    });
  }

  /** Writes out what is pending and closes the files. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([this.#work, this.loaded]);
    await Promise.all([...this.#segments.keys()].map((segment) => segment.file.close()));
    await this.#releaseDirectory();
  }

  usage(): StoreUsage {
    return {
      bytes: this.#bytes(),
      entries: this.#locations.size,
      evictions: this.#evictions,
      corrupt: this.#corrupt,
    };
  }

  #bytes(): number {
    let sum = 0;
    for (const segment of this.#segments.keys()) sum += segment.bytes;
    return sum;
  }

  #append(key: string, entry: CacheEntry | undefined, record: Buffer): Promise<void> {
    if (this.#closed) return Promise.reject(new Error('the disk cache is closed'));
    if (record.length > this.#segmentBytes) return Promise.resolve();
    if (this.#pendingBytes + record.length > MAX_PENDING_BYTES) {
      return Promise.reject(new Error(`the disk is behind by ${this.#pendingBytes} bytes; not storing ${key}`));
    }
    this.#pendingBytes += record.length;
    return new Promise((resolve, reject) => {
      const item: PendingRecord = { key, entry, record, resolve, reject };
      this.#pending.set(key, item);
      this.#queue.push(item);
      if (this.#queue.length === 1) void this.#inTurn(() => this.#writeQueued());
    });
  }

  #inTurn(change: () => Promise<void>): Promise<void> {
    const done = this.#work.then(change);
    this.#work = done.catch(() => undefined);
    return done;
  }

  async #writeQueued(): Promise<void> {
    const batch = this.#queue;
    this.#queue = [];
    for (const item of batch) {
      await this.#write(item).then(item.resolve, item.reject);
      this.#pendingBytes -= item.record.length;
      if (this.#pending.get(item.key) === item) this.#pending.delete(item.key);
    }
  }

  async #write({ key, entry, record }: PendingRecord): Promise<void> {
    const segment = await this.#segmentFor(record.length);
    const offset = segment.bytes;
    try {
      await segment.file.write(record, 0, record.length, offset);
    } catch (error) {
      // Whatever part was written stays behind as a torn tail; nothing is appended to it.
      this.#active = undefined;
      const [oldest] = this.#segments.keys();
      if ((error as NodeJS.ErrnoException).code === 'ENOSPC' && oldest) await this.#dropSegment(oldest);
      throw error;
    }
    segment.bytes += record.length;
    if (!entry) return void this.#locations.delete(key);
    this.#locations.set(key, { segment, offset, length: record.length, storedAt: entry.storedAt, stamp: entry.stamp });
    this.#segments.get(segment)?.push(key);
  }

  async #segmentFor(bytes: number): Promise<Segment> {
    if (this.#active && this.#active.bytes + bytes <= this.#segmentBytes) return this.#active;
    await this.#makeRoom(this.#segmentBytes);
    this.#active = await createSegment(this.#directory, this.#nextNumber++);
    this.#segments.set(this.#active, []);
    return this.#active;
  }

  async #makeRoom(bytes: number): Promise<void> {
    for (const oldest of this.#segments.keys()) {
      if (this.#bytes() + bytes <= this.#maxBytes) return;
      await this.#dropSegment(oldest);
    }
  }

  async #dropSegment(segment: Segment): Promise<void> {
    const keys = this.#segments.get(segment) ?? [];
    this.#segments.delete(segment);
    if (this.#active === segment) this.#active = undefined;
    for (const key of keys) {
      if (this.#locations.get(key)?.segment === segment && this.#locations.delete(key)) this.#evictions += 1;
    }
    await removeSegment(segment);
  }

  async #load(inherited: readonly Segment[]): Promise<void> {
    try {
      const found = new Map<string, Location>();
      for (const segment of inherited) {
        if (this.#closed) return;
        await this.#scanInto(found, segment);
        await yieldToLoop();
      }
      for (const [key, location] of found) {
        // What this process has written since is newer, removals included.
        const isSuperseded = this.#locations.has(key) || this.#pending.has(key) || this.#removedWhileLoading.has(key);
        const keys = this.#segments.get(location.segment);
        if (isSuperseded || !keys) continue;
        this.#locations.set(key, location);
        keys.push(key);
      }
    } finally {
      this.#loading = false;
      this.#removedWhileLoading.clear();
    }
  }

  async #scanInto(found: Map<string, Location>, segment: Segment): Promise<void> {
    try {
      const { corrupt } = await scanSegment(segment, ({ kind, payload, offset, length }) => {
        if (kind === 'removal') return void found.delete(payload.toString());
        const entry = readableEntry(payload);
        if (!entry) this.#corrupt += 1;
        else found.set(entry.key, { segment, offset, length, storedAt: entry.storedAt, stamp: entry.stamp });
      });
      this.#corrupt += corrupt;
    } catch (error) {
      const wasDroppedMeanwhile = !this.#segments.has(segment);
      if (!wasDroppedMeanwhile) throw error;
    }
  }
}

type Fill = Pick<CacheEntry, 'storedAt' | 'stamp'>;

function isSameFill(a: Fill, b: Fill): boolean {
  return a.storedAt === b.storedAt && a.stamp.seq === b.stamp.seq && a.stamp.epoch === b.stamp.epoch;
}

function entryOfRecord(bytes: Buffer): CacheEntry | undefined {
  const record = decodeRecord(bytes);
  return record?.kind === 'entry' ? readableEntry(record.payload) : undefined;
}

function readableEntry(payload: Buffer): CacheEntry | undefined {
  try {
    return decodeEntry(payload);
  } catch (error) {
    if (error instanceof EntryFormatError) return undefined;
    throw error;
  }
}
