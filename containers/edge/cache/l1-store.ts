import { createClient, RESP_TYPES } from 'redis';
import type { Logger } from '../control/types';
import { Breaker } from './breaker';
import { decodeEntry, EntryFormatError, encodeEntry } from './entry-codec';
import { redisOptions, withinDeadline } from './redis-connection';
import type { CacheEntry, CacheStore } from './types';

const KEY_PREFIX = 'mlcdn:entry:';
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

/**
 * Tier `l1`: the region's Valkey or Redis. Connects in the background and by itself again; while there is no connection
 * or the circuit is open, every key is a miss. `get` and `set` throw when Redis refuses or does not answer in time.
 */
export function createL1Store(url: string, log: Logger, options: L1Options = {}): CacheStore {
  const { deadlineMs = 50, failuresToOpen = 5, retryMs = 1_000 } = options;
  const breaker = new Breaker(failuresToOpen, retryMs);
  const client = createClient({
    ...redisOptions(url),
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
      const bytes = await guarded(client.get(KEY_PREFIX + key));
      if (bytes === null) return undefined;
      const entry = readable(bytes);
      return entry?.key === key ? entry : undefined;
    },

    async set(entry) {
      const remainingMs = Math.ceil(entry.storedAt + entry.ttlMs - Date.now());
      if (remainingMs <= 0 || !isUsable()) return;
      await guarded(
        client.set(KEY_PREFIX + entry.key, encodeEntry(entry), { expiration: { type: 'PX', value: remainingMs } }),
      );
    },

    async delete(key) {
      if (isUsable()) await guarded(client.unlink(KEY_PREFIX + key));
    },

    async clear() {
      if (!client.isReady) return;
      for await (const keys of client.scanIterator({ MATCH: `${KEY_PREFIX}*`, COUNT: CLEAR_BATCH })) {
        if (keys.length > 0) await client.unlink(keys);
      }
    },

    async close() {
      client.destroy();
      await connecting;
    },
  };
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
