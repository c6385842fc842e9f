import { hash } from 'node:crypto';
import { defineScript } from 'redis';
import type { CacheEntry } from './types';

export const ENTRY_KEY_PREFIX = 'mlcdn:entry:';
const LEASE_KEY_PREFIX = 'mlcdn:lease:';
/** Longer keys are hashed: Redis compares and sends the whole key with every command. */
const MAX_KEY_LENGTH = 200;

/** Redis keys of an entry. They share one hash tag, so that in cluster mode one script can reach both. */
export function entryKey(key: string): string {
  return `${ENTRY_KEY_PREFIX}{${hashTag(key)}}`;
}

/** Redis key of the lease of `key`; see `entryKey`. */
export function leaseKey(key: string): string {
  return `${LEASE_KEY_PREFIX}{${hashTag(key)}}`;
}

/** A hash tag ends at the first brace and an empty one is none, so a key that begins so is hashed as well. */
function hashTag(key: string): string {
  const isUsable = key.length > 0 && key.length <= MAX_KEY_LENGTH && !key.startsWith('}');
  return isUsable ? key : `sha256:${hash('sha256', key)}`;
}

/** seq f64, storedAt f64, digest of the epoch 8 bytes: what scripts compare, whatever the format of the entry behind. */
export const STAMP_BYTES = 24;

/** An entry's value in Redis: its stamp for the scripts, then the entry as `encodeEntry` writes it. */
export function withStamp({ stamp, storedAt }: CacheEntry, encoded: Buffer): Buffer {
  const value = Buffer.allocUnsafe(STAMP_BYTES + encoded.length);
  value.writeDoubleLE(stamp.seq, 0);
  value.writeDoubleLE(storedAt, 8);
  epochDigest(stamp.epoch).copy(value, 16);
  encoded.copy(value, STAMP_BYTES);
  return value;
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

/**
 * KEYS: entry, lease. ARGV: token, value, its lifetime in ms (0: store nothing). Gives the lease back, if it is still
 * held, and stores the value unless the entry there has a newer stamp in the same epoch or, when the lease was lost,
 * was filled later. Returns 1 when it stored.
 */
export const SET_UNDER_LEASE = defineScript({
  NUMBER_OF_KEYS: 2,
  SCRIPT: `
local held = redis.call('GET', KEYS[2]) == ARGV[1]
if held then redis.call('DEL', KEYS[2]) end
if ARGV[3] == '0' then return 0 end
local there = redis.call('GETRANGE', KEYS[1], 0, ${STAMP_BYTES - 1})
if #there == ${STAMP_BYTES} then
  local seq, storedAt = struct.unpack('<dd', there)
  local newSeq, newStoredAt = struct.unpack('<dd', ARGV[2])
  if seq > newSeq and string.sub(there, 17) == string.sub(ARGV[2], 17, ${STAMP_BYTES}) then return 0 end
  if not held and storedAt >= newStoredAt then return 0 end
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
`,
  parseCommand(parser, key: string, token: string, value: Buffer, lifetimeMs: number) {
    parser.pushKeys([entryKey(key), leaseKey(key)]);
    parser.push(token, value, `${lifetimeMs}`);
  },
  transformReply: (reply: number) => reply === 1,
});

/** KEYS: lease. ARGV: token. Gives the lease back if it is still held. */
export const RELEASE_LEASE = defineScript({
  NUMBER_OF_KEYS: 1,
  SCRIPT: `
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
`,
  parseCommand(parser, key: string, token: string) {
    parser.pushKey(leaseKey(key));
    parser.push(token);
  },
  transformReply: () => undefined,
});
