import type { CacheEntry } from './types';

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
 * Reads what `encodeEntry` wrote, from `start` of `bytes` to their end; the body is a copy. Throws `EntryFormatError`
 * for anything else.
 */
export function decodeEntry(bytes: Buffer, start = 0): CacheEntry {
  const length = bytes.length - start;
  if (length < HEADER_BYTES) throw new EntryFormatError(`${length} bytes are too few for an entry`);
  if (bytes[start] !== FORMAT) throw new EntryFormatError(`entry format ${bytes[start]}, this process reads ${FORMAT}`);
  const storedAt = bytes.readDoubleLE(start + 1);
  const ttlMs = bytes.readDoubleLE(start + 9);
  const seq = bytes.readDoubleLE(start + 17);
  const staleWhileRevalidateMs = bytes.readDoubleLE(start + 25);
  const staleIfErrorMs = bytes.readDoubleLE(start + 33);
  const epochLength = bytes.readUInt16LE(start + 41);
  const keyLength = bytes.readUInt16LE(start + 43);
  const tagCount = bytes.readUInt16LE(start + 45);
  const bodyLength = bytes.readUInt32LE(start + 47);

  let at = start + HEADER_BYTES;
  const text = (textLength: number): string => {
    if (at + textLength > bytes.length) throw new EntryFormatError(`entry ends within its header at ${length} bytes`);
    at += textLength;
    return bytes.toString('utf8', at - textLength, at);
  };
  const epoch = text(epochLength);
  const key = text(keyLength);
  const tags: string[] = [];
  for (let i = 0; i < tagCount; i++) {
    if (at + 2 > bytes.length) throw new EntryFormatError(`entry ends within its tags at ${length} bytes`);
    at += 2;
    tags.push(text(bytes.readUInt16LE(at - 2)));
  }
  if (at + bodyLength !== bytes.length) {
    throw new EntryFormatError(`entry has ${bytes.length - at} bytes of body, its header says ${bodyLength}`);
  }
  // A copy, so that a small entry does not keep the whole chunk alive that it arrived in.
  const body = Buffer.allocUnsafe(bodyLength);
  bytes.copy(body, 0, at);
  return { key, body, tags, stamp: { epoch, seq }, storedAt, ttlMs, staleWhileRevalidateMs, staleIfErrorMs };
}

function shortBytes(field: string, value: string): Buffer {
  const bytes = Buffer.from(value);
  if (bytes.length > MAX_U16) throw new RangeError(`cache ${field} has ${bytes.length} bytes; at most ${MAX_U16} fit`);
  return bytes;
}
