import KeyvRedis from '@keyv/redis';
import { createCache } from 'async-cache-dedupe';
import { BentoCache, bentostore } from 'bentocache';
import { memoryDriver } from 'bentocache/drivers/memory';
import { redisDriver } from 'bentocache/drivers/redis';
import { Cacheable, CacheableMemory, Keyv } from 'cacheable';
import { Redis } from 'ioredis';
import { createClient } from 'redis';
import { createEdgeCache } from '../../containers/edge/cache/edge-cache';
import { InvalidationIndex } from '../../containers/edge/cache/invalidation-index';
import { createL1Store } from '../../containers/edge/cache/l1-store';
import { createMemoryStore } from '../../containers/edge/cache/memory-store';

/** A cache that fills what it does not hold. */
export interface Engine {
  readonly name: string;
  getOrFill(key: string): Promise<unknown>;
  close(): Promise<void>;
}

/** Which tiers answer: memory before Redis, the same with a memory tier that holds next to nothing, or Redis alone. */
export type Tiers = 'both' | 'small memory' | 'redis';

/** Builds an engine over a Redis of the benchmark. */
export type EngineFactory = (redisUrl: string, tiers: Tiers) => Engine;

/** Roughly a prediction's answer, 200 bytes. */
const BODY = JSON.stringify({
  prediction: 0.9475882649421692,
  model: 'ranker',
  version: '1',
  padding: 'x'.repeat(121),
});
const HOUR_MS = 3_600_000;
const ITEMS: Readonly<Record<Tiers, number>> = { both: 50_000, 'small memory': 100, redis: 0 };
const BYTES_PER_ITEM = 1_000;
const TAGS = ['model:ranker', 'model:ranker@v1'];
const silent = { info: () => undefined, warn: () => undefined, error: () => undefined };

/** The edge cache with all of it on: two tags and a stamp on every entry, stale windows, counters, timings. */
export const edgeCache: EngineFactory = (redisUrl, tiers) => {
  const cache = createEdgeCache({
    memory: createMemoryStore(ITEMS[tiers] * BYTES_PER_ITEM),
    l1: createL1Store(redisUrl, silent, { deadlineMs: 5_000 }),
    index: new InvalidationIndex({ epoch: 'bench', seq: 0 }),
  });
  const body = Buffer.from(BODY);
  const filled = { body, tags: TAGS, ttlMs: HOUR_MS, staleWhileRevalidateMs: HOUR_MS, staleIfErrorMs: HOUR_MS };
  const fill = async () => filled;
  return {
    name: 'edge cache, all features',
    getOrFill: (key) => cache.getOrFill(key, fill),
    close: () => cache.close(),
  };
};

const bento =
  (name: string, features: { tags?: string[]; grace?: string }): EngineFactory =>
  (redisUrl, tiers) => {
    const store = bentostore();
    // Unserialised it fails on what it promotes from Redis.
    const serialize = tiers !== 'both';
    if (tiers !== 'redis') store.useL1Layer(memoryDriver({ maxItems: ITEMS[tiers], serialize }));
    store.useL2Layer(redisDriver({ connection: new Redis(redisUrl), prefix: name }));
    const cache = new BentoCache({ default: 'bench', stores: { bench: store } });
    const factory = () => BODY;
    return {
      name,
      getOrFill: (key) => cache.getOrSet({ key, factory, ttl: '1h', ...features }),
      close: () => cache.disconnectAll(),
    };
  };

/** bentocache at its fastest: memory unserialised where that works, no tags, no grace period. */
export const bentocache = bento('bentocache', {});
/** bentocache with what the edge cache has on. */
export const bentocacheFull = bento('bentocache, tags and grace', { tags: TAGS, grace: '1h' });

/** cacheable; it always has a first tier, so that of Redis alone remembers nothing. */
export const cacheable: EngineFactory = (redisUrl, tiers) => {
  const nothing = { get: () => undefined, set: () => undefined, delete: () => false, clear: () => undefined };
  const cache = new Cacheable({
    primary: new Keyv({ store: tiers === 'redis' ? nothing : new CacheableMemory({ lruSize: ITEMS[tiers] }) }),
    secondary: new KeyvRedis(redisUrl),
    ttl: HOUR_MS,
  });
  const fill = async () => BODY;
  return {
    name: 'cacheable',
    getOrFill: (key) => cache.getOrSet(key, fill),
    close: () => cache.disconnect(),
  };
};

/** async-cache-dedupe; it has one tier, memory or Redis. */
export const asyncCacheDedupe: EngineFactory = (redisUrl, tiers) => {
  const client = new Redis(redisUrl);
  const cache = createCache({
    ttl: HOUR_MS / 1000,
    storage:
      tiers === 'both' ? { type: 'memory', options: { size: ITEMS[tiers] } } : { type: 'redis', options: { client } },
  }).define('body', async (_key: string) => BODY);
  return {
    name: 'async-cache-dedupe, one tier',
    getOrFill: (key) => cache.body(key),
    close: async () => client.disconnect(),
  };
};

/** No cache at all, the least that a hit can cost: a Map for memory, a GET of node-redis for Redis. */
export const bareMinimum: EngineFactory = (redisUrl, tiers) => {
  const map = new Map<string, Promise<string>>();
  const client = createClient({ url: redisUrl, commandOptions: { timeout: 0 } });
  const connecting = client.connect();
  const fromMap = (key: string) => {
    const held = map.get(key);
    if (held !== undefined) return held;
    const filled = Promise.resolve(BODY);
    map.set(key, filled);
    return filled;
  };
  const fromRedis = async (key: string) => (await client.get(key)) ?? client.set(key, BODY);
  return {
    name: 'none: Map or node-redis GET',
    getOrFill: tiers === 'both' ? fromMap : fromRedis,
    close: async () => {
      await connecting;
      client.destroy();
    },
  };
};
