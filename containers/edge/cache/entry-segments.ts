import { randomBytes } from 'node:crypto';
import { type FileHandle, open, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as yieldToLoop } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import { writeFully } from './body-file';
import { EntryHeads } from './entry-heads';

/** Marks the start of a record, so that a scan finds the next one behind damage. */
const MAGIC = Buffer.from('mlc2');
const MAGIC_CODE = MAGIC.readUInt32LE();
/** magic, kind u8, payload length u32, CRC-32 u32 over kind, length and payload, seeded by the segment's salt. */
const HEADER_BYTES = MAGIC.length + 1 + 4 + 4;
const CHECKED_FROM = MAGIC.length;
const SUM_AT = MAGIC.length + 5;
const SALT_BYTES = 8;
const SEGMENT_NAME = /^(\d{12})-([0-9a-f]{16})\.segment$/;
/** A scan holds the event loop no longer than this at once. */
const SLICE_MS = 2;
/** Records between two looks at the clock: some tens of microseconds' work. */
const STEPS_PER_LOOK = 64;

/** What a record says: here is an entry, or the entry of this key is gone. */
export type RecordKind = 'entry' | 'removal';
const KIND_CODES: Record<RecordKind, number> = { entry: 1, removal: 2 };

/** What is to be written. */
export interface NewRecord {
  readonly kind: RecordKind;
  /** At most 4 GiB. */
  readonly payload: Buffer;
}

/** One record found by a scan; `offset` and `length` cover it whole. */
export interface RecordPlace {
  readonly kind: RecordKind;
  readonly offset: number;
  readonly length: number;
  readonly payloadAt: number;
}

/** A file of records that only grows; its number gives its age. */
export interface Segment {
  readonly number: number;
  readonly path: string;
  readonly file: FileHandle;
  /**
   * Seed of its checksums, from a salt in its name. Without it, a cached body that looks like a record would pass for
   * one when a scan looks for the next record behind damage.
   */
  readonly seed: number;
  bytes: number;
}

/** Bytes that a record with this payload takes. */
export function recordBytes(payload: Buffer): number {
  return HEADER_BYTES + payload.length;
}

/** Appends records in one write and returns where each begins. On failure a part may have been written behind its end. */
export async function appendRecords(segment: Segment, records: readonly NewRecord[]): Promise<number[]> {
  const bytes = Buffer.allocUnsafe(records.reduce((sum, { payload }) => sum + recordBytes(payload), 0));
  const offsets: number[] = [];
  let at = 0;
  for (const record of records) {
    offsets.push(segment.bytes + at);
    at += encodeRecord(record, segment.seed, bytes.subarray(at, at + recordBytes(record.payload)));
  }
  await writeFully(segment.file, bytes, segment.bytes);
  segment.bytes += bytes.length;
  return offsets;
}

function encodeRecord({ kind, payload }: NewRecord, seed: number, record: Buffer): number {
  MAGIC.copy(record);
  record.writeUInt8(KIND_CODES[kind], CHECKED_FROM);
  record.writeUInt32LE(payload.length, CHECKED_FROM + 1);
  payload.copy(record, HEADER_BYTES);
  record.writeUInt32LE(checksum(record, seed), SUM_AT);
  return record.length;
}

/** The record that fills `record` exactly, or `undefined` when any bit of it is wrong. The payload is not a copy. */
export function decodeRecord(record: Buffer, { seed }: Pick<Segment, 'seed'>): NewRecord | undefined {
  if (record.length < HEADER_BYTES || !record.subarray(0, MAGIC.length).equals(MAGIC)) return undefined;
  if (record.readUInt32LE(CHECKED_FROM + 1) !== record.length - HEADER_BYTES) return undefined;
  if (record.readUInt32LE(SUM_AT) !== checksum(record, seed)) return undefined;
  const code = record[CHECKED_FROM];
  const kind = code === KIND_CODES.entry ? 'entry' : code === KIND_CODES.removal ? 'removal' : undefined;
  return kind && { kind, payload: record.subarray(HEADER_BYTES) };
}

function checksum(record: Buffer, seed: number): number {
  const head = crc32(record.subarray(CHECKED_FROM, SUM_AT), seed);
  return crc32(record.subarray(HEADER_BYTES), head);
}

/** Creates the segment file with this number. Rejects when the disk refuses. */
export async function createSegment(directory: string, number: number): Promise<Segment> {
  const salt = randomBytes(SALT_BYTES).toString('hex');
  const path = join(directory, `${number.toString().padStart(12, '0')}-${salt}.segment`);
  return { number, path, file: await open(path, 'wx+'), seed: crc32(salt), bytes: 0 };
}

/** Opens every segment file of a directory, oldest first. */
export async function openSegments(directory: string): Promise<Segment[]> {
  const names = (await readdir(directory)).filter((name) => SEGMENT_NAME.test(name)).sort();
  return Promise.all(
    names.map(async (name) => {
      const [, number = '', salt = ''] = SEGMENT_NAME.exec(name) ?? [];
      const path = join(directory, name);
      const file = await open(path, 'r');
      return { number: Number.parseInt(number, 10), path, file, seed: crc32(salt), bytes: (await file.stat()).size };
    }),
  );
}

/** Deletes a segment and closes it. Reads of it that are under way end first. Rejects when the disk refuses. */
export async function removeSegment(segment: Segment): Promise<void> {
  await rm(segment.path, { force: true });
  await segment.file.close();
}

/** Every record of a segment read at once: for a caller that knows where in it the records lie. */
export function readSegment(segment: Segment): Promise<Buffer> {
  return readFile(segment.path);
}

/**
 * Finds a segment's records from the start, passing over damage: `corrupt` counts stretches that are not records, a torn
 * tail among them. Then visits them, the last written first, with a turn of the event loop every few milliseconds. Sums are
 * checked here although every read checks them again: a key that has come to harm would hide the entry of another.
 * `buffer` takes the segment's bytes, as one read, and may be used again for the next one.
 */
export async function scanSegment(
  segment: Segment,
  buffer: Buffer,
  visit: (record: RecordPlace, segmentBytes: Buffer, heads: EntryHeads) => void,
): Promise<{ readonly corrupt: number }> {
  const bytes = await readInto(buffer, segment);
  const heads = new EntryHeads(bytes);
  const slices = new Slices();
  const offsets: number[] = [];
  let corrupt = 0;
  let offset = 0;
  for (let step = 0; offset < bytes.length; step++) {
    if (step % STEPS_PER_LOOK === 0 && slices.isOver()) await slices.next();
    const length = recordLengthAt(bytes, offset);
    const kind = length === undefined ? undefined : kindOf(bytes, offset, length, heads, segment);
    if (kind && length !== undefined) {
      if (kind !== 'foreign') offsets.push(offset);
      offset += length;
    } else {
      corrupt += 1;
      const next = bytes.indexOf(MAGIC, offset + 1);
      offset = next === -1 ? bytes.length : next;
    }
  }
  for (let i = offsets.length - 1; i >= 0; i--) {
    if (i % STEPS_PER_LOOK === 0 && slices.isOver()) await slices.next();
    visit(placeAt(bytes, offsets[i] ?? 0), bytes, heads);
  }
  return { corrupt };
}

async function readInto(buffer: Buffer, { file, bytes }: Segment): Promise<Buffer> {
  let done = 0;
  while (done < bytes) {
    const { bytesRead } = await file.read(buffer, done, bytes - done, done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return buffer.subarray(0, done);
}

function placeAt(bytes: Buffer, offset: number): RecordPlace {
  const kind = bytes[offset + CHECKED_FROM] === KIND_CODES.entry ? 'entry' : 'removal';
  const length = HEADER_BYTES + bytes.readUInt32LE(offset + CHECKED_FROM + 1);
  return { kind, offset, length, payloadAt: offset + HEADER_BYTES };
}

function recordLengthAt(bytes: Buffer, offset: number): number | undefined {
  if (offset + HEADER_BYTES > bytes.length || bytes.readUInt32LE(offset) !== MAGIC_CODE) return undefined;
  const length = HEADER_BYTES + bytes.readUInt32LE(offset + CHECKED_FROM + 1);
  return offset + length <= bytes.length ? length : undefined;
}

/** `foreign`: whole, but written by another version of this service; `undefined`: not a record. */
function kindOf(
  bytes: Buffer,
  offset: number,
  length: number,
  heads: EntryHeads,
  segment: Segment,
): RecordKind | 'foreign' | undefined {
  const record = decodeRecord(bytes.subarray(offset, offset + length), segment);
  if (record?.kind !== 'entry') return record?.kind;
  return heads.isEntry(offset + HEADER_BYTES, offset + length) ? 'entry' : 'foreign';
}

/** Long work in slices, so that requests are answered in between. */
export class Slices {
  #since = performance.now();

  isOver(): boolean {
    return performance.now() - this.#since >= SLICE_MS;
  }

  async next(): Promise<void> {
    await yieldToLoop();
    this.#since = performance.now();
  }
}
