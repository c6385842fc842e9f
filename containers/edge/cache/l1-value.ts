import { hash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { decodeEntryOf, EntryFormatError, encodeEntry } from './entry-codec';
import type { CacheEntry } from './types';

/** seq f64, storedAt f64, digest of the epoch 8 bytes: what scripts compare, whatever the format of the entry behind. */
export const STAMP_BYTES = 24;
const SUM_BYTES = 4;
/** CRC-32 of any bytes that are followed by their own CRC-32, little-endian: checking a value needs no part of it. */
const INTACT = 0x2144df1c;

/**
 * An entry's value in Redis: its stamp for the scripts, the entry as `encodeEntry` writes it, and the CRC-32 of both.
 * Throws as `encodeEntry`.
 */
export function encodeL1Value(entry: CacheEntry): Buffer {
  const { stamp, storedAt } = entry;
  const encoded = encodeEntry(entry);
  const sumAt = STAMP_BYTES + encoded.length;
  const value = Buffer.allocUnsafe(sumAt + SUM_BYTES);
  value.writeDoubleLE(stamp.seq, 0);
  value.writeDoubleLE(storedAt, 8);
  epochDigest(stamp.epoch).copy(value, 16);
  encoded.copy(value, STAMP_BYTES);
  value.writeUInt32LE(crc32(value.subarray(0, sumAt)), sumAt);
  return value;
}

/** Whether a value is, as a whole, one that `encodeL1Value` wrote. */
export function isIntact(value: Buffer): boolean {
  return value.length > STAMP_BYTES + SUM_BYTES && crc32(value) === INTACT;
}

/**
 * The entry of an intact value; its body is a part of the value. `undefined` for another key's and for another format:
 * a later version of this service may share the L1, and its entries are misses, not errors.
 */
export function decodeL1Value(key: string, value: Buffer): CacheEntry | undefined {
  try {
    return decodeEntryOf(key, value, STAMP_BYTES, value.length - SUM_BYTES);
  } catch (error) {
    if (error instanceof EntryFormatError) return undefined;
    throw error;
  }
}

let lastEpoch = '';
let lastDigest = Buffer.alloc(8);

/** Entries of one epoch follow each other, so remembering one digest is enough. */
function epochDigest(epoch: string): Buffer {
  if (epoch !== lastEpoch) {
    lastDigest = hash('sha256', epoch, 'buffer').subarray(0, 8);
    lastEpoch = epoch;
  }
  return lastDigest;
}
