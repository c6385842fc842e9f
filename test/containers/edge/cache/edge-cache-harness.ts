import { createEdgeCache, type EdgeCacheParts } from '../../../../containers/edge/cache/edge-cache';
import { InvalidationIndex } from '../../../../containers/edge/cache/invalidation-index';
import { createMemoryStore } from '../../../../containers/edge/cache/memory-store';
import type { CacheEntry, Filled, SharedStore } from '../../../../containers/edge/cache/types';
import { filledWith } from './fixtures';

/** An L1 that two caches share, with its leases. */
class SharedMap implements SharedStore {
  readonly tier = 'l1';
  readonly held = new Map<string, CacheEntry>();
  readonly leases = new Map<string, string>();
  #tokens = 0;

  get(key: string): CacheEntry | undefined {
    return this.held.get(key);
  }
  set(entry: CacheEntry): void {
    this.held.set(entry.key, entry);
  }
  delete(key: string): void {
    this.held.delete(key);
  }
  clear(): void {
    this.held.clear();
  }
  async close(): Promise<void> {}
  async lease(key: string): Promise<string | undefined> {
    if (this.leases.has(key)) return undefined;
    const token = `token ${++this.#tokens}`;
    this.leases.set(key, token);
    return token;
  }
  async setUnderLease(entry: CacheEntry, token: string): Promise<void> {
    this.held.set(entry.key, entry);
    await this.release(entry.key, token);
  }
  async release(key: string, token: string): Promise<void> {
    if (this.leases.get(key) === token) this.leases.delete(key);
  }
}

const open: ReturnType<typeof createEdgeCache>[] = [];
afterEach(async () => {
  for (const cache of open.splice(0)) await cache.close();
});

/** A cache over memory and an L1, with a clock and an invalidation index of its own; it is closed after the test. */
export function setUp(overrides: Partial<EdgeCacheParts> = {}, l1 = new SharedMap()) {
  const time = { now: 1_000_000 };
  const index = new InvalidationIndex({ epoch: 'a', seq: 0 });
  const memory = createMemoryStore(1_000_000);
  const leaseTiming = { ttlMs: 5_000, pollMs: 1 };
  const cache = createEdgeCache({ memory, l1, index, clock: () => time.now, leaseTiming, ...overrides });
  open.push(cache);
  let seq = 0;
  const invalidate = (tag: string) =>
    index.invalidate({ keys: [], tags: [tag], prefixes: [], patterns: [] }, { epoch: 'a', seq: ++seq });
  return { time, index, memory, l1, cache, invalidate };
}

/** A fill that the origin answers with `body`. */
export const constant = (body: string, fields: Partial<Filled> = {}) => {
  return async () => filledWith(body, fields);
};

/** A fill whose origin fails. */
export const failing = async (): Promise<Filled> => {
  throw new Error('the origin is down');
};

/** The fill of a test in which the cache has the answer. */
export const never = async (): Promise<Filled> => {
  throw new Error('the origin must not be asked');
};

/** Fresh for a second; for five more, the answer when the origin fails. */
export const KEPT_FOR_ERRORS = { ttlMs: 1_000, staleIfErrorMs: 5_000 };
