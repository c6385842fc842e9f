/**
 * Invalidating a million keys that share a tag: one message in the region's control log and one position in each
 * process, against finding and deleting the keys, in Redis and in memory. `npm run bench:invalidation -- --keys 1000000`.
 */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { build } from 'hdr-histogram-js';
import { createClient } from 'redis';
import { createEdgeCache } from '../containers/edge/cache/edge-cache';
import { InvalidationIndex } from '../containers/edge/cache/invalidation-index';
import { createMemoryStore } from '../containers/edge/cache/memory-store';
import type { EdgeCache } from '../containers/edge/cache/types';
import { appendMessage } from '../lambda/invalidation/append';
import { CONTROL_KEYS } from '../lib/core/control-log';
import { bundle } from './support/bundle';
import { runBenchmark } from './support/options';
import { freePort, startProcess, untilListening } from './support/processes';
import type { ReadLatency } from './support/redis-reader';
import { median, printTable, short } from './support/report';

const PREFIX = 'mlcdn:entry';
const VALUE_BYTES = 100;
const BATCH = 1_000;
const MAX_KEYS = 5_000_000;
const TAG = 'model:ranker';
const ALL_TARGETS = { keys: [], tags: [TAG], prefixes: [], patterns: [] };

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { keys: { type: 'string', default: '1000000' } } });
  const keys = Number(values.keys);
  if (!Number.isInteger(keys) || keys < 1 || keys > MAX_KEYS) {
    throw new Error(`--keys ${values.keys}: must be a whole number from 1 to ${MAX_KEYS}`);
  }
  await inRedis(keys);
  await inMemory(keys);
}

type Redis = Awaited<ReturnType<typeof connect>>;

function connect(url: string) {
  const client = createClient({ url });
  // Commands reject by themselves when the server goes away.
  client.on('error', () => undefined);
  return client.connect();
}

async function inRedis(keys: number): Promise<void> {
  const port = await freePort();
  // DEBUG POPULATE makes the keys within the server.
  const settings = ['--save', '', '--appendonly', 'no', '--enable-debug-command', 'local'];
  const server = startProcess('redis-server', ['--port', `${port}`, '--bind', '127.0.0.1', ...settings]);
  const url = `redis://127.0.0.1:${port}`;
  try {
    await untilListening(port, server);
    const redis = await connect(url);
    const populate = () => redis.sendCommand(['DEBUG', 'POPULATE', `${keys}`, PREFIX, `${VALUE_BYTES}`]);
    const rows: (string | number)[][] = [];
    for (const { name, purge } of PURGES) {
      await redis.flushAll();
      await populate();
      const stopReading = await startReading(url);
      const ms = await purge(redis, url);
      const reads = await stopReading();
      rows.push([name, short(ms), short(reads.p50), short(reads.p99), short(reads.max), reads.reads]);
    }
    redis.destroy();
    console.log(
      `${keys.toLocaleString('en-US')} keys of ${VALUE_BYTES} bytes in Redis; latency of another client's GETs meanwhile, ms`,
    );
    printTable(['purge', 'ms for one purge', 'read p50', 'read p99', 'read max', 'reads'], rows);
  } finally {
    await server.stop();
  }
}

interface Purge {
  readonly name: string;
  /** Resolves to the time that one purge took, ms. */
  purge(redis: Redis, url: string): Promise<number>;
}

const PURGES: readonly Purge[] = [
  { name: 'none', purge: () => new Promise((resolve) => setTimeout(() => resolve(0), 2_000)) },
  { name: 'tag in the control log, to its announcement', purge: byTag },
  { name: 'SCAN and UNLINK', purge: timed(scanAndUnlink) },
  { name: 'KEYS and DEL', purge: timed(keysAndDelete) },
];

/** Two hundred of them: one alone is over before a read has begun. Median from the call to the announcement. */
async function byTag(redis: Redis, url: string): Promise<number> {
  const subscriber = await connect(url);
  let announced: () => void = () => undefined;
  await subscriber.subscribe(CONTROL_KEYS.channel, () => announced());
  const times: number[] = [];
  for (let i = 0; i < 200; i++) {
    const heard = new Promise<void>((resolve) => {
      announced = resolve;
    });
    const began = performance.now();
    await Promise.all([heard, appendMessage(redis, { kind: 'invalidate', id: randomUUID(), targets: ALL_TARGETS })]);
    times.push(performance.now() - began);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  subscriber.destroy();
  return median(times);
}

function timed(work: (redis: Redis) => Promise<void>): Purge['purge'] {
  return async (redis) => {
    const began = performance.now();
    await work(redis);
    return performance.now() - began;
  };
}

async function scanAndUnlink(redis: Redis): Promise<void> {
  for await (const found of redis.scanIterator({ MATCH: `${PREFIX}:*`, COUNT: BATCH })) {
    if (found.length > 0) await redis.unlink(found);
  }
}

async function keysAndDelete(redis: Redis): Promise<void> {
  const found = await redis.keys(`${PREFIX}:*`);
  for (let from = 0; from < found.length; from += BATCH) await redis.del(found.slice(from, from + BATCH));
}

/** Reads in a thread of its own; the function that it resolves to ends them. */
async function startReading(url: string): Promise<() => Promise<ReadLatency>> {
  const worker = new Worker(await bundle('bench/support/redis-reader.ts', 'redis-reader'), { workerData: url });
  await once(worker, 'message');
  return async () => {
    const answered = once(worker, 'message');
    worker.postMessage('stop');
    const [latency]: ReadLatency[] = await answered;
    await worker.terminate();
    if (latency === undefined) throw new Error('the reader posted nothing');
    return latency;
  };
}

async function inMemory(keys: number): Promise<void> {
  const rows = [await memoryByTag(keys), await memoryKeyByKey(keys)];
  console.log(`${keys.toLocaleString('en-US')} entries of ${VALUE_BYTES} bytes in the memory tier of one process`);
  printTable(['purge', 'us, event loop blocked', 'still answered', 'read p50, us', 'read p99, us'], rows);
}

const TAG_PURGES = 200;
const READS_BETWEEN = 1_000;

/** Two hundred of them with reads of entries of another tag between; medians, for one alone is no measurement. */
async function memoryByTag(keys: number): Promise<string[]> {
  const { cache, index, memory } = memoryCache();
  fillMemory(memory, keys, TAG, PREFIX);
  fillMemory(memory, READS_BETWEEN, 'model:other', 'other');
  const notFilled = () => Promise.reject(new Error('an entry of another tag was invalidated'));
  const reads = build({ lowestDiscernibleValue: 1, highestTrackableValue: 10_000_000_000 });
  const times: number[] = [];
  for (let seq = 1; seq <= TAG_PURGES; seq++) {
    const began = performance.now();
    index.invalidate(ALL_TARGETS, { epoch: 'bench', seq });
    times.push((performance.now() - began) * 1000);
    for (let n = 0; n < READS_BETWEEN; n++) {
      const asked = performance.now();
      await cache.getOrFill(nameOf('other', n), notFilled);
      reads.recordValue(Math.max(1, Math.round((performance.now() - asked) * 1e6)));
    }
  }
  const left = stillAnswered(cache, keys);
  await cache.close();
  const us = (share: number) => short(reads.getValueAtPercentile(share) / 1000);
  return ['tag in the invalidation index', short(median(times)), left, us(50), us(99)];
}

async function memoryKeyByKey(keys: number): Promise<string[]> {
  const { cache, memory } = memoryCache();
  fillMemory(memory, keys, TAG, PREFIX);
  const began = performance.now();
  for (let n = 0; n < keys; n++) memory.delete(nameOf(PREFIX, n));
  const us = (performance.now() - began) * 1000;
  const left = stillAnswered(cache, keys);
  await cache.close();
  return ['delete key by key', short(us), left, '-', '-'];
}

function memoryCache() {
  const index = new InvalidationIndex({ epoch: 'bench', seq: 0 });
  const memory = createMemoryStore(4 * 1024 ** 3);
  return { index, memory, cache: createEdgeCache({ memory, index }) };
}

function stillAnswered(cache: EdgeCache, keys: number): string {
  const probed = Math.min(keys, 10_000);
  let left = 0;
  for (let n = 0; n < probed; n++) if (cache.peek(nameOf(PREFIX, n)) !== undefined) left += 1;
  return `${left} of ${probed}`;
}

function fillMemory(memory: ReturnType<typeof createMemoryStore>, keys: number, tag: string, prefix: string): void {
  const bodies = Buffer.alloc(VALUE_BYTES * keys);
  const stamp = { epoch: 'bench', seq: 0 };
  const storedAt = Date.now();
  const windows = { ttlMs: 3_600_000, staleWhileRevalidateMs: 0, staleIfErrorMs: 0 };
  for (let n = 0; n < keys; n++) {
    const body = bodies.subarray(n * VALUE_BYTES, (n + 1) * VALUE_BYTES);
    void memory.set({ key: nameOf(prefix, n), body, tags: [tag], stamp, storedAt, ...windows });
  }
}

function nameOf(prefix: string, n: number): string {
  return `${prefix}:${n}`;
}

runBenchmark(main);
