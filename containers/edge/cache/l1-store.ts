import { randomBytes } from 'node:crypto';
import type { Logger } from '../control/types';
import { Attempts } from './attempts';
import { Breaker } from './breaker';
import { type GroupedRead, GroupedReads } from './grouped-reads';
import { L1Link } from './l1-link';
import { ENTRY_KEY_PREFIX, entryKey, leaseKey } from './l1-scripts';
import { decodeL1Value, encodeL1Value, isIntact } from './l1-value';
import type { RedisAccess } from './redis-connection';
import { type CacheEntry, type EntryReader, retainedUntil, type SharedStore } from './types';

/** Settings of the L1 tier. Durations, which tests shorten, in ms. */
export interface L1Options extends RedisAccess {
  /** How long an answer is waited for; computing a prediction is often quicker than waiting longer. */
  readonly deadlineMs?: number;
  /** Failures in a row after which Redis is left alone for `retryMs`. */
  readonly failuresToOpen?: number;
  readonly retryMs?: number;
  /** A connection that has owed an answer for this long is replaced. */
  readonly hungMs?: number;
}

/** Tier `l1`. */
export interface L1Store extends SharedStore {
  get(key: string): Promise<CacheEntry | undefined>;
  read(key: string, reader: EntryReader): void;
  set(entry: CacheEntry): Promise<void>;
  corrupt(): number;
  /** False while there is no connection, the circuit is open or Redis refuses writes. */
  healthy(): boolean;
}

/**
 * Tier `l1`: the region's Valkey or Redis. Connects in the background and by itself again; while there is no connection
 * or the circuit is open, every key is a miss. `get` and `set` throw when Redis refuses or does not answer in time.
 * Throws when the URL is none.
 */
export function createL1Store(url: string, log: Logger, options: L1Options = {}): L1Store {
  return new RedisStore(url, log, options);
}

const SCAN_COUNT = 1_000;
/** Redis answered, but takes no writes now: memory full, disk full, a replica, too few replicas. */
const WRITES_REFUSED = /^(OOM|MISCONF|READONLY|NOREPLICAS)\b/;

class RedisStore implements L1Store {
  readonly tier = 'l1';
  readonly #link: L1Link;
  readonly #breaker: Breaker;
  readonly #attempts: Attempts;
  readonly #reads: GroupedReads<Buffer | null>;
  readonly #retryMs: number;
  /** Not deleted: what answers in its place is written over it, and the fault may be that of the connection. */
  readonly #onHarmed = (): void => {
    this.#corrupt += 1;
  };
  #refusesWrites = false;
  #corrupt = 0;
  #writeAgainAt = 0;

  constructor(url: string, log: Logger, options: L1Options) {
    const { deadlineMs = 50, failuresToOpen = 5, retryMs = 1_000, hungMs = 2_000 } = options;
    this.#retryMs = retryMs;
    this.#breaker = new Breaker(failuresToOpen, retryMs);
    this.#link = new L1Link(url, log, { ...options, hungMs });
    this.#attempts = new Attempts({
      who: 'L1',
      deadlineMs,
      hungMs: Math.max(hungMs, deadlineMs),
      onSuccess: () => this.#breaker.succeeded(),
      onFailure: (error) => this.#failed(error),
      onHung: () => this.#link.replace(new Error('L1 owes an answer for too long')),
    });
    this.#reads = new GroupedReads((keys) => this.#attempts.run(this.#link.read(keys)));
  }

  get(key: string): Promise<CacheEntry | undefined> {
    return new Promise((found, failed) => this.read(key, { found, failed }));
  }

  read(key: string, reader: EntryReader): void {
    if (!this.#isUsable()) {
      reader.found(undefined);
      return;
    }
    const read = new EntryRead(key, reader, this.#onHarmed);
    // In a cluster each key is read by itself: of a group, one node that is away would fail them all.
    if (!this.#link.isCluster) this.#reads.add(read);
    else {
      this.#attempts.run(this.#link.commands.get(read.redisKey)).then(
        (value) => read.found(value),
        (error: unknown) => read.failed(error),
      );
    }
  }

  /**
   * Plain SET, although it may replace an entry with a newer stamp: under the stamp rule the older entry is either still
   * valid or a miss, so that only work is lost. The script that compares them made 0.55 of the sets per second.
   */
  async set(entry: CacheEntry): Promise<void> {
    const lifetimeMs = remainingLifetimeMs(entry);
    if (lifetimeMs === 0) return;
    const value = encodeL1Value(entry);
    if (!this.#mayWrite()) return;
    const expiration = { type: 'PX', value: lifetimeMs } as const;
    await this.#attempts.run(this.#link.commands.set(entryKey(entry.key), value, { expiration }));
    this.#refusesWrites = false;
  }

  async lease(key: string, ttlMs: number): Promise<string | undefined> {
    if (!this.#mayWrite()) throw new Error('L1 gives no leases now: it has no connection, or failed just before');
    const token = randomBytes(12).toString('base64url');
    const expiration = { type: 'PX', value: Math.ceil(ttlMs) } as const;
    const reply = await this.#attempts.run(
      this.#link.commands.set(leaseKey(key), token, { condition: 'NX', expiration }),
    );
    return reply === null ? undefined : token;
  }

  async setUnderLease(entry: CacheEntry, token: string): Promise<void> {
    const value = encodeL1Value(entry);
    if (!this.#isUsable()) return;
    const { commands } = this.#link;
    await this.#attempts.run(commands.setUnderLease(entry.key, token, value, remainingLifetimeMs(entry)));
    this.#refusesWrites = false;
  }

  async release(key: string, token: string): Promise<void> {
    if (this.#isUsable()) await this.#attempts.run(this.#link.commands.releaseLease(key, token));
  }

  async delete(key: string): Promise<void> {
    if (this.#isUsable()) await this.#attempts.run(this.#link.commands.unlink(entryKey(key)));
  }

  async clear(): Promise<void> {
    if (!this.#link.isReady) return;
    for (const node of await this.#link.primaries()) {
      let cursor = '0';
      do {
        const page = await this.#attempts.run(node.scan(cursor, { MATCH: `${ENTRY_KEY_PREFIX}*`, COUNT: SCAN_COUNT }));
        // One by one, for a cluster takes no command with keys of several slots.
        await Promise.all(page.keys.map((key) => this.#attempts.run(node.unlink(key))));
        cursor = `${page.cursor}`;
      } while (cursor !== '0');
    }
  }

  healthy(): boolean {
    return this.#link.isReady && !this.#breaker.isOpen() && !this.#refusesWrites;
  }

  corrupt(): number {
    return this.#corrupt;
  }

  async close(): Promise<void> {
    this.#attempts.close();
    this.#link.close();
  }

  /** To be followed by an attempt when true: it may be the one that decides whether the circuit closes. */
  #isUsable(): boolean {
    return this.#link.isReady && this.#breaker.allows();
  }

  #mayWrite(): boolean {
    if (this.#refusesWrites && performance.now() < this.#writeAgainAt) return false;
    return this.#isUsable();
  }

  #failed(error: unknown): void {
    const message = error instanceof Error ? error.message : '';
    if (!WRITES_REFUSED.test(message)) {
      this.#breaker.failed();
      return;
    }
    // It answered: reads are as good as ever.
    this.#breaker.succeeded();
    const mayReplace = performance.now() >= this.#writeAgainAt;
    this.#refusesWrites = true;
    this.#writeAgainAt = performance.now() + this.#retryMs;
    // The primary has become a replica: the endpoint's name leads to another node by now.
    if (message.startsWith('READONLY') && mayReplace) this.#link.replace(new Error(message));
  }
}

/** Whole ms from now until nobody may be answered with the entry any more; 0 when that has passed. */
function remainingLifetimeMs(entry: CacheEntry): number {
  return Math.max(0, Math.ceil(retainedUntil(entry) - Date.now()));
}

/** One key's value on its way to whoever asked for the entry. */
class EntryRead implements GroupedRead<Buffer | null> {
  readonly redisKey: string;
  readonly #key: string;
  readonly #reader: EntryReader;
  readonly #onHarmed: () => void;

  /** `onHarmed` is told of a value that is not what was written; to the reader it is none. */
  constructor(key: string, reader: EntryReader, onHarmed: () => void) {
    this.redisKey = entryKey(key);
    this.#key = key;
    this.#reader = reader;
    this.#onHarmed = onHarmed;
  }

  found(value: Buffer | null): void {
    if (value !== null && isIntact(value)) {
      this.#reader.found(decodeL1Value(this.#key, value));
      return;
    }
    if (value !== null) this.#onHarmed();
    this.#reader.found(undefined);
  }

  failed(error: unknown): void {
    this.#reader.failed(error);
  }
}
