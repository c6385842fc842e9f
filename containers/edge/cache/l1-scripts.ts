import { hash } from 'node:crypto';
import { defineScript } from 'redis';
import { STAMP_BYTES } from './l1-value';

/** With the form of the values behind it: versions that share an L1 see only those that they can read. */
export const ENTRY_KEY_PREFIX = 'mlcdn:entry:2:';
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
