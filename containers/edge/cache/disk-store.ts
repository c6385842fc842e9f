import { mkdir } from 'node:fs/promises';
import type { Logger } from '../control/types';
import { claimDirectory } from './directory-claim';
import { DiskHealth, type DiskHealthOptions, isDiskFull } from './disk-health';
import { DiskIndex, entryOfRecord, locationOf, locationOfHead, readableEntry } from './disk-index';
import { encodeEntry } from './entry-codec';
import {
  decodeRecord,
  type NewRecord,
  readSegment,
  recordBytes,
  type Segment,
  Slices,
  scanSegment,
} from './entry-segments';
import { type EntryRecord, type PendingGroup, PendingWrites } from './pending-writes';
import { SegmentLog } from './segment-log';
import type { BoundedStore, CacheEntry, StoreUsage } from './types';

/** Deviations for tests. */
export interface DiskStoreOptions extends DiskHealthOptions {
  /** Wall-clock time, ms since 1970. */
  readonly clock?: () => number;
}

/** Records that wait together are written together, up to about so much. */
const GROUP_BYTES = 1024 * 1024;

/**
 * Tier `l2`: a log of records in segment files, bounded in bytes by deleting the oldest segment; entries of it that were
 * read since they were written are written again (second chance). Every record has a CRC-32 that is checked on every
 * read, so a damaged one is a miss. Written segments never change; a new process starts a new one and reads the old ones
 * in the background, newest first, so a crash costs at most the records being written.
 */
export class DiskStore implements BoundedStore {
  readonly tier = 'l2';
  /** Resolves when the entries of the process before are all usable. */
  readonly loaded: Promise<void>;

  readonly #releaseDirectory: () => Promise<void>;
  readonly #files: SegmentLog;
  readonly #health: DiskHealth;
  readonly #log: Logger;
  readonly #clock: () => number;
  readonly #index = new DiskIndex();
  readonly #pending = new PendingWrites();
  /** Every change of the files, one after the other. */
  #work: Promise<void> = Promise.resolve();
  #evictions = 0;
  #corrupt = 0;
  #closed = false;

  /** Rejects when the directory cannot be used, or another process uses it. */
  static async open(
    directory: string,
    maxBytes: number,
    log: Logger,
    options: DiskStoreOptions = {},
  ): Promise<DiskStore> {
    await mkdir(directory, { recursive: true });
    const release = await claimDirectory(directory);
    try {
      const files = await SegmentLog.open(directory, maxBytes, log);
      for (let surplus = files.surplus(0); surplus; surplus = files.surplus(0)) await files.remove(surplus);
      return new DiskStore(directory, release, files, log, options);
    } catch (error) {
      await release().catch(() => undefined);
      throw error;
    }
  }

  private constructor(
    directory: string,
    release: () => Promise<void>,
    files: SegmentLog,
    log: Logger,
    { clock = Date.now, ...options }: DiskStoreOptions,
  ) {
    this.#releaseDirectory = release;
    this.#files = files;
    this.#log = log;
    this.#clock = clock;
    this.#health = new DiskHealth(directory, log, options);
    this.loaded = this.#load(files.segments());
  }

  /** Rejects when the disk does not answer in time, and at once while it is left alone for that. */
  async get(key: string): Promise<CacheEntry | undefined> {
    const waiting = this.#pending.get(key);
    if (waiting) return waiting.entry;
    const location = this.#index.get(key);
    if (!location) return undefined;
    location.wasRead = true;
    const bytes = Buffer.allocUnsafe(location.length);
    try {
      await this.#health.read(() => location.segment.file.read(bytes, 0, location.length, location.offset));
    } catch (error) {
      // The segment may have been deleted while it was read; then this is an ordinary miss.
      if (this.#index.get(key) !== location) return undefined;
      throw error;
    }
    const entry = entryOfRecord(bytes, location.segment);
    if (entry?.key === key) return entry;
    if (this.#index.get(key) === location) {
      this.#corrupt += 1;
      this.#index.forget(key);
    }
    return undefined;
  }

  /**
   * Resolves when the record is with the operating system. Rejects when the disk refuses; the key then holds nothing.
   * Entries too large for a segment are not kept.
   */
  async set(entry: CacheEntry): Promise<void> {
    const held = this.#pending.get(entry.key)?.entry ?? this.#index.get(entry.key);
    // The very entry that is here already comes back by promotion from L1.
    if (held && isSameFill(held, entry)) return;
    const payload = encodeEntry(entry);
    // What is held of this key is older than what cannot be kept.
    if (recordBytes(payload) > this.#files.segmentBytes) await this.delete(entry.key);
    else await this.#append('entry', entry.key, entry, payload);
  }

  /** Holds at once in this process. Rejects when the disk refuses: then the next process may find the entry again. */
  async delete(key: string): Promise<void> {
    if (!this.#index.loading && !this.#pending.get(key) && !this.#index.get(key)) return;
    await this.#append('removal', key, undefined, Buffer.from(key));
  }

  /** Drops what was set before; a file that the disk will not delete may be read by the next process. */
  async clear(): Promise<void> {
    await this.#inTurn(async () => {
      for (const segment of this.#files.segments()) this.#index.forgetSegment(segment);
      for (const segment of this.#files.segments()) await this.#files.remove(segment);
    });
  }

  /** Writes out what is pending and closes the files, as far as the disk answers. */
  async close(): Promise<void> {
    this.#closed = true;
    // What does not answer has been said in the log.
    await this.#health.within(this.#finish()).catch(() => undefined);
  }

  async #finish(): Promise<void> {
    await Promise.all([this.#work, this.loaded]);
    await this.#files.close();
    await this.#releaseDirectory();
  }

  usage(): StoreUsage {
    return {
      bytes: this.#files.bytes(),
      entries: this.#index.size,
      evictions: this.#evictions,
      corrupt: this.#corrupt,
    };
  }

  /** False while the disk refuses writes, what it holds can still be read then, or does not answer. */
  healthy(): boolean {
    return this.#health.healthy();
  }

  #append(kind: NewRecord['kind'], key: string, entry: CacheEntry | undefined, payload: Buffer): Promise<void> {
    if (this.#closed) return Promise.reject(new Error('the disk cache is closed'));
    // Whatever becomes of the record, what the disk holds of this key is older.
    this.#index.forget(key);
    const mustStart = this.#pending.isEmpty;
    const written = this.#pending.add({ kind, key, entry, payload });
    if (mustStart) void this.#inTurn(() => this.#writePending());
    return written;
  }

  #inTurn(change: () => Promise<void>): Promise<void> {
    const done = this.#work.then(change);
    this.#work = done.catch(() => undefined);
    return done;
  }

  async #writePending(): Promise<void> {
    while (!this.#pending.isEmpty) {
      const group = this.#pending.takeGroup(Math.min(GROUP_BYTES, this.#files.segmentBytes / 16));
      try {
        await this.#health.attempt(() => this.#writeGroup(group));
        group.written();
      } catch (error) {
        // They may have been moved on with their old segment meanwhile.
        for (const { key } of group.records) this.#index.forget(key);
        group.failed(error);
      }
    }
  }

  async #writeGroup(group: PendingGroup): Promise<void> {
    const { records, bytes } = group;
    try {
      await this.#writeRecords(records, bytes, () => group.isGivenUp());
    } catch (error) {
      // Others may have filled the disk below this store's own bound.
      const oldest = this.#files.oldest();
      if (!isDiskFull(error) || !oldest) throw error;
      await this.#evict(oldest);
      await this.#writeRecords(records, bytes, () => group.isGivenUp());
    }
  }

  /** `isGivenUp`: the write came so late that others have been told of its failure, and may have gone on from there. */
  async #writeRecords(
    group: readonly EntryRecord[],
    bytes: number,
    isGivenUp: () => boolean = () => false,
  ): Promise<void> {
    if (!this.#files.fits(bytes)) await this.#startSegment();
    const { segment, offsets } = await this.#files.append(group);
    if (isGivenUp()) return;
    group.forEach(({ key, entry, payload }, i) => {
      const at = { segment, offset: offsets[i] ?? 0, length: recordBytes(payload) };
      if (entry) this.#index.place(key, locationOf(entry, at));
      else this.#index.forget(key);
    });
  }

  async #startSegment(): Promise<void> {
    // First, so that a disk that refuses it costs no entry.
    await this.#files.start();
    const wanted: EntryRecord[] = [];
    const { segmentBytes } = this.#files;
    // A part of the new segment at most, or it would be full of old entries.
    let room = segmentBytes / 2;
    for (let oldest = this.#files.surplus(segmentBytes); oldest; oldest = this.#files.surplus(segmentBytes)) {
      for (const record of await this.#wantedRecords(oldest, room)) {
        wanted.push(record);
        room -= recordBytes(record.payload);
      }
      await this.#evict(oldest);
    }
    if (wanted.length === 0) return;
    await this.#writeRecords(wanted, segmentBytes / 2 - room);
    this.#evictions -= wanted.length;
  }

  /** The entries of a segment that were read since they were written and are not past their time. */
  async #wantedRecords(segment: Segment, maxBytes: number): Promise<EntryRecord[]> {
    const keys = this.#index.wantedKeys(segment, this.#clock());
    if (keys.size === 0) return [];
    const bytes = await readSegment(segment);
    const slices = new Slices();
    const records: EntryRecord[] = [];
    let room = maxBytes;
    for (const key of keys) {
      if (slices.isOver()) await slices.next();
      const location = this.#index.get(key);
      if (location?.segment !== segment || location.length > room) continue;
      const record = decodeRecord(bytes.subarray(location.offset, location.offset + location.length), segment);
      const entry = record && readableEntry(record.payload);
      if (!record || entry?.key !== key) continue;
      records.push({ ...record, key, entry });
      room -= location.length;
    }
    return records;
  }

  async #evict(segment: Segment): Promise<void> {
    const before = this.#index.size;
    this.#index.forgetSegment(segment);
    this.#evictions += before - this.#index.size;
    await this.#files.remove(segment);
  }

  async #load(inherited: readonly Segment[]): Promise<void> {
    const buffer = Buffer.allocUnsafeSlow(Math.max(0, ...inherited.map(({ bytes }) => bytes)));
    for (const segment of inherited.toReversed()) {
      if (this.#closed) break;
      try {
        await this.#loadSegment(segment, buffer);
      } catch (error) {
        const wasRemovedMeanwhile = !this.#files.holds(segment);
        if (!wasRemovedMeanwhile) this.#log.error({ err: error, path: segment.path }, 'old disk cache cannot be read');
      }
    }
    this.#index.loaded();
  }

  async #loadSegment(segment: Segment, buffer: Buffer): Promise<void> {
    const now = this.#clock();
    const { corrupt } = await scanSegment(segment, buffer, ({ kind, offset, length, payloadAt }, bytes, heads) => {
      if (!this.#files.holds(segment)) return;
      const key = kind === 'entry' ? heads.keyAt(payloadAt) : bytes.toString('utf8', payloadAt, offset + length);
      // What is on its way to the disk is newer.
      if (this.#index.isKnown(key) || this.#pending.get(key)) return;
      const isKept = kind === 'entry' && heads.retainedUntilAt(payloadAt) > now;
      this.#index.inherit(key, isKept ? locationOfHead(heads, payloadAt, { segment, offset, length }) : undefined);
    });
    this.#corrupt += corrupt;
  }
}

type Fill = Pick<CacheEntry, 'storedAt' | 'stamp'>;

function isSameFill(a: Fill, b: Fill): boolean {
  return a.storedAt === b.storedAt && a.stamp.seq === b.stamp.seq && a.stamp.epoch === b.stamp.epoch;
}
