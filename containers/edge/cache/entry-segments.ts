import { type FileHandle, open, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';

/** Marks the start of a record, so that a scan finds the next one behind damage. */
const MAGIC = Buffer.from('mlc1');
/** magic, kind u8, payload length u32, CRC-32 u32 over kind, length and payload. */
const HEADER_BYTES = MAGIC.length + 1 + 4 + 4;
const CHECKED_FROM = MAGIC.length;
const SUM_AT = MAGIC.length + 5;

/** What a record says: here is an entry, or the entry of this key is gone. */
export type RecordKind = 'entry' | 'removal';
const KIND_CODES: Record<RecordKind, number> = { entry: 1, removal: 2 };

/** One record found by a scan; `offset` and `length` cover it whole. */
export interface ScannedRecord {
  readonly kind: RecordKind;
  readonly payload: Buffer;
  readonly offset: number;
  readonly length: number;
}

/** A file of records that only grows; its number gives its age. */
export interface Segment {
  readonly number: number;
  readonly path: string;
  readonly file: FileHandle;
  bytes: number;
}

/** A record as it is written. Throws nothing; a payload is at most 4 GiB. */
export function encodeRecord(kind: RecordKind, payload: Buffer): Buffer {
  const record = Buffer.allocUnsafe(HEADER_BYTES + payload.length);
  MAGIC.copy(record);
  record.writeUInt8(KIND_CODES[kind], CHECKED_FROM);
  record.writeUInt32LE(payload.length, CHECKED_FROM + 1);
  payload.copy(record, HEADER_BYTES);
  record.writeUInt32LE(checksum(record), SUM_AT);
  return record;
}

/** Payload of the record that fills `record` exactly, or `undefined` when any bit of it is wrong. */
export function decodeRecord(record: Buffer): { readonly kind: RecordKind; readonly payload: Buffer } | undefined {
  if (record.length < HEADER_BYTES || !record.subarray(0, MAGIC.length).equals(MAGIC)) return undefined;
  if (record.readUInt32LE(CHECKED_FROM + 1) !== record.length - HEADER_BYTES) return undefined;
  if (record.readUInt32LE(SUM_AT) !== checksum(record)) return undefined;
  const code = record[CHECKED_FROM];
  const kind = code === KIND_CODES.entry ? 'entry' : code === KIND_CODES.removal ? 'removal' : undefined;
  return kind && { kind, payload: record.subarray(HEADER_BYTES) };
}

function checksum(record: Buffer): number {
  const head = crc32(record.subarray(CHECKED_FROM, SUM_AT));
  return crc32(record.subarray(HEADER_BYTES), head);
}

/** Creates the segment file with this number. Rejects when the disk refuses. */
export async function createSegment(directory: string, number: number): Promise<Segment> {
  const path = join(directory, `${number.toString().padStart(12, '0')}.segment`);
  return { number, path, file: await open(path, 'wx+'), bytes: 0 };
}

/** Opens every segment file of a directory, oldest first. */
export async function openSegments(directory: string): Promise<Segment[]> {
  const names = (await readdir(directory)).filter((name) => /^\d{12}\.segment$/.test(name)).sort();
  return Promise.all(
    names.map(async (name) => {
      const path = join(directory, name);
      const file = await open(path, 'r');
      return { number: Number.parseInt(name, 10), path, file, bytes: (await file.stat()).size };
    }),
  );
}

/** Closes and deletes a segment. Reads of it that are under way fail. */
export async function removeSegment(segment: Segment): Promise<void> {
  await segment.file.close();
  await rm(segment.path, { force: true });
}

/**
 * Reads a segment's records from the start, passing over damage: `corrupt` counts stretches that are not records, a
 * torn tail among them. Calls `visit` in the order of writing.
 */
export async function scanSegment(
  segment: Segment,
  visit: (record: ScannedRecord) => void,
): Promise<{ readonly corrupt: number }> {
  const bytes = await readFile(segment.path);
  let corrupt = 0;
  let offset = 0;
  while (offset < bytes.length) {
    const length = recordLengthAt(bytes, offset);
    const record = length === undefined ? undefined : decodeRecord(bytes.subarray(offset, offset + length));
    if (record && length !== undefined) {
      visit({ ...record, offset, length });
      offset += length;
    } else {
      corrupt += 1;
      const next = bytes.indexOf(MAGIC, offset + 1);
      offset = next === -1 ? bytes.length : next;
    }
  }
  return { corrupt };
}

function recordLengthAt(bytes: Buffer, offset: number): number | undefined {
  if (offset + HEADER_BYTES > bytes.length) return undefined;
  const length = HEADER_BYTES + bytes.readUInt32LE(offset + CHECKED_FROM + 1);
  return offset + length <= bytes.length ? length : undefined;
}
