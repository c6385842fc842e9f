import { randomBytes } from 'node:crypto';
import { createClient, RESP_TYPES } from 'redis';
import type { Logger } from '../control/types';
import { Breaker } from './breaker';
import { decodeEntry, EntryFormatError, encodeEntry } from './entry-codec';
import {
  ENTRY_KEY_PREFIX,
  entryKey,
  leaseKey,
  RELEASE_LEASE,
  SET_UNDER_LEASE,
  STAMP_BYTES,
  withStamp,
} from './l1-scripts';
import { redisOptions, withinDeadline } from './redis-connection';
import { type CacheEntry, retainedUntil, type SharedStore } from './types';

/** Unanswered commands beyond this are refused at once. */
const MAX_QUEUED_COMMANDS = 10_000;
const CLEAR_BATCH = 1_000;

/** Settings of the L1 tier that tests shorten. */
export interface L1Options {
  /** How long an answer is waited for, ms; computing a prediction is often quicker than waiting longer. */
  readonly deadlineMs?: number;
  /** Failures in a row after which Redis is left alone for `retryMs`. */
  readonly failuresToOpen?: number;
  readonly retryMs?: number;
}

/** Tier `l1`. */
export interface L1Store extends SharedStore {
  /** False while there is no connection or the circuit is open: every key is a miss. */
  healthy(): boolean;
}

/**
 * Tier `l1`: the region's Valkey or Redis. Connects in the background and by itself again; while there is no connection
 * or the circuit is open, every key is a miss. `get` and `set` throw when Redis refuses or does not answer in time.
 */
export function createL1Store(url: string, log: Logger, options: L1Options = {}): L1Store {
  const { deadlineMs = 50, failuresToOpen = 5, retryMs = 1_000 } = options;
  const breaker = new Breaker(failuresToOpen, retryMs);
  const client = createClient({
    ...redisOptions(url),
    scripts: { setUnderLease: SET_UNDER_LEASE, releaseLease: RELEASE_LEASE },
    disableOfflineQueue: true,
    commandsQueueMaxLength: MAX_QUEUED_COMMANDS,
    // The client's own timeout makes an AbortSignal for every command, six times the cost of the command itself.
    commandOptions: { timeout: 0, typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } },
    socket: { reconnectStrategy: (retries) => Math.min(2_000, 50 * 2 ** retries) * (0.5 + Math.random() / 2) },
  });
  let saidLost = false;
  client.on('error', (error: Error) => {
    if (!saidLost) log.warn({ err: error }, 'L1 cache lost; going on without it until it is back');
    saidLost = true;
  });
  client.on('ready', () => {
    if (saidLost) log.info({}, 'L1 cache is back');
    saidLost = false;
  });
  // Connecting goes on by itself; the promise only rejects when the client is destroyed meanwhile.
  const connecting = client.connect().catch(() => undefined);

  const isUsable = (): boolean => client.isReady && breaker.allows();
  const guarded = <T>(command: Promise<T>): Promise<T> => breaker.watch(withinDeadline('L1', command, deadlineMs));

  return {
    tier: 'l1',

    async get(key) {
      if (!isUsable()) return undefined;
      const bytes = await guarded(client.get(entryKey(key)));
      if (bytes === null) return undefined;
      const entry = readable(bytes.subarray(STAMP_BYTES));
      return entry?.key === key ? entry : undefined;
    },

    async set(entry) {
      const lifetimeMs = remainingLifetimeMs(entry);
      if (lifetimeMs <= 0 || !isUsable()) return;
      await guarded(
        client.set(entryKey(entry.key), withStamp(entry, encodeEntry(entry)), {
          expiration: { type: 'PX', value: lifetimeMs },
        }),
      );
    },

    async lease(key, ttlMs) {
      if (!isUsable()) throw new Error('L1 gives no leases now: it has no connection, or failed just before');
      const token = randomBytes(12).toString('base64url');
      const reply = await guarded(
        client.set(leaseKey(key), token, { condition: 'NX', expiration: { type: 'PX', value: Math.ceil(ttlMs) } }),
      );
      return reply === null ? undefined : token;
    },

    async setUnderLease(entry, token) {
      if (!isUsable()) return;
      const value = withStamp(entry, encodeEntry(entry));
      await guarded(client.setUnderLease(entry.key, token, value, remainingLifetimeMs(entry)));
    },

    async release(key, token) {
      if (isUsable()) await guarded(client.releaseLease(key, token));
    },

    healthy: () => client.isReady && !breaker.isOpen(),

    async delete(key) {
      if (isUsable()) await guarded(client.unlink(entryKey(key)));
    },

    async clear() {
      if (!client.isReady) return;
      for await (const keys of client.scanIterator({ MATCH: `${ENTRY_KEY_PREFIX}*`, COUNT: CLEAR_BATCH })) {
        if (keys.length > 0) await client.unlink(keys);
      }
    },

    async close() {
      client.destroy();
      await connecting;
    },
  };
}

/** Whole ms from now until nobody may be answered with the entry any more; 0 when that has passed. */
function remainingLifetimeMs(entry: CacheEntry): number {
  return Math.max(0, Math.ceil(retainedUntil(entry) - Date.now()));
}

/** Another version of this service may share the L1: its entries are misses, not errors. */
function readable(bytes: Buffer): CacheEntry | undefined {
  try {
    return decodeEntry(bytes);
  } catch (error) {
    if (error instanceof EntryFormatError) return undefined;
    throw error;
  }
}
