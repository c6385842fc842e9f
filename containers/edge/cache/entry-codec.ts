import { InternedTags, LastText } from './interned-texts';
import type { CacheEntry, Position } from './types';

export const FORMAT = 2;
/**
 * format u8, storedAt f64, ttlMs f64, seq f64, staleWhileRevalidateMs f64, staleIfErrorMs f64, epoch u16, key u16,
 * tag count u16, body u32. `EntryHeads` reads the same.
 */
export const HEADER_BYTES = 1 + 5 * 8 + 2 + 2 + 2 + 4;
const MAX_U16 = 0xffff;

/** Bytes that are not an entry in this format: another version's, or damaged. */
export class EntryFormatError extends Error {}

/**
 * Binary form of an entry, the same in L1 and on disk: a fixed little-endian header, then epoch, key, each tag behind
 * its length, body. Throws a RangeError when the key, the epoch or a tag has more than 65,535 bytes.
 */
export function encodeEntry(entry: CacheEntry): Buffer {
  const epoch = shortBytes('epoch', entry.stamp.epoch);
  const key = shortBytes('key', entry.key);
  const tags = entry.tags.map((tag) => shortBytes('tag', tag));
  const tagBytes = tags.reduce((sum, tag) => sum + 2 + tag.length, 0);
  const out = Buffer.allocUnsafe(HEADER_BYTES + epoch.length + key.length + tagBytes + entry.body.length);

  let at = out.writeUInt8(FORMAT, 0);
  at = out.writeDoubleLE(entry.storedAt, at);
  at = out.writeDoubleLE(entry.ttlMs, at);
  at = out.writeDoubleLE(entry.stamp.seq, at);
  at = out.writeDoubleLE(entry.staleWhileRevalidateMs, at);
  at = out.writeDoubleLE(entry.staleIfErrorMs, at);
  at = out.writeUInt16LE(epoch.length, at);
  at = out.writeUInt16LE(key.length, at);
  at = out.writeUInt16LE(tags.length, at);
  at = out.writeUInt32LE(entry.body.length, at);
  at += epoch.copy(out, at);
  at += key.copy(out, at);
  for (const tag of tags) {
    at = out.writeUInt16LE(tag.length, at);
    at += tag.copy(out, at);
  }
  entry.body.copy(out, at);
  return out;
}

/**
 * Reads what `encodeEntry` wrote, from `start` of `bytes` to `end`; the body is a part of them, and to be
 * copied by whoever keeps it. Throws `EntryFormatError` for anything else.
 */
export function decodeEntry(bytes: Buffer, start = 0, end = bytes.length): CacheEntry {
  const keyAt = keyStart(bytes, start, end);
  const key = bytes.toString('utf8', keyAt, keyAt + bytes.readUInt16LE(start + 43));
  return decode(bytes, start, end, key);
}

/** As `decodeEntry` for whoever knows the key, and whose string the entry shares; `undefined` for another key's. */
export function decodeEntryOf(key: string, bytes: Buffer, start = 0, end = bytes.length): CacheEntry | undefined {
  const from = keyStart(bytes, start, end);
  const to = from + bytes.readUInt16LE(start + 43);
  const isSame = isAsciiText(key, bytes, from, to) || bytes.toString('utf8', from, to) === key;
  return isSame ? decode(bytes, start, end, key) : undefined;
}

/** Where the key begins, once it is certain that header, epoch and key are all there. */
function keyStart(bytes: Buffer, start: number, end: number): number {
  const length = end - start;
  if (length < HEADER_BYTES) throw new EntryFormatError(`${length} bytes are too few for an entry`);
  if (bytes[start] !== FORMAT) throw new EntryFormatError(`entry format ${bytes[start]}, this process reads ${FORMAT}`);
  const keyAt = start + HEADER_BYTES + bytes.readUInt16LE(start + 41);
  if (keyAt + bytes.readUInt16LE(start + 43) > end) {
    throw new EntryFormatError(`entry ends within its header at ${length} bytes`);
  }
  return keyAt;
}

/** Of entries that are read one after the other, epoch and tags mostly are those of others before. */
const epochs = new LastText();
const tagLists = new InternedTags();
let lastStamp: Position = { epoch: '', seq: 0 };

function decode(bytes: Buffer, start: number, end: number, key: string): CacheEntry {
  const seq = bytes.readDoubleLE(start + 17);
  const epochAt = start + HEADER_BYTES;
  const keyAt = epochAt + bytes.readUInt16LE(start + 41);
  const tagsAt = keyAt + bytes.readUInt16LE(start + 43);
  const bodyLength = bytes.readUInt32LE(start + 47);
  const bodyAt = endOfTags(bytes, tagsAt, end, bytes.readUInt16LE(start + 45));
  if (bodyAt + bodyLength !== end) {
    throw new EntryFormatError(`entry has ${end - bodyAt} bytes of body, its header says ${bodyLength}`);
  }
  const epoch = epochs.read(bytes, epochAt, keyAt);
  if (lastStamp.seq !== seq || lastStamp.epoch !== epoch) lastStamp = { epoch, seq };
  return {
    key,
    body: bytes.subarray(bodyAt, end),
    tags: tagLists.read(bytes, tagsAt, bodyAt),
    stamp: lastStamp,
    storedAt: bytes.readDoubleLE(start + 1),
    ttlMs: bytes.readDoubleLE(start + 9),
    staleWhileRevalidateMs: bytes.readDoubleLE(start + 25),
    staleIfErrorMs: bytes.readDoubleLE(start + 33),
  };
}

function endOfTags(bytes: Buffer, from: number, end: number, count: number): number {
  let at = from;
  for (let i = 0; i < count; i++) {
    if (at + 2 <= end) at += 2 + bytes.readUInt16LE(at);
    else at = end + 1;
    if (at > end) throw new EntryFormatError(`entry ends within its tags at ${end} bytes`);
  }
  return at;
}

/** Whether bytes are this text and nothing but ASCII: quicker than to decode them, and right for nearly every key. */
function isAsciiText(text: string, bytes: Buffer, from: number, to: number): boolean {
  if (text.length !== to - from) return false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0x7f || code !== bytes[from + i]) return false;
  }
  return true;
}

function shortBytes(field: string, value: string): Buffer {
  const bytes = Buffer.from(value);
  if (bytes.length > MAX_U16) throw new RangeError(`cache ${field} has ${bytes.length} bytes; at most ${MAX_U16} fit`);
  return bytes;
}
