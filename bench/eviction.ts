/**
 * Hit ratio and rate of the memory tier's eviction (SIEVE) against lru-cache at the same number of objects, on synthetic
 * popularity and on recorded traces. `npm run bench:eviction -- --traces ../shared/traces --requests 4000000`.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { LRUCache } from 'lru-cache';
import { createMemoryStore, type MemoryStore } from '../containers/edge/cache/memory-store';
import type { CacheEntry } from '../containers/edge/cache/types';
import { seededRandom, zipf } from './support/keys';
import { positive, runBenchmark } from './support/options';
import { median, printTable, short } from './support/report';

interface Workload {
  readonly title: string;
  /** Objects that fit. */
  readonly capacity: number;
  /** Keys in the order of requests, dense from 0. */
  readonly keys: Uint32Array;
}

interface Policy {
  readonly name: string;
  /** Asks for a key and stores it when it is not there; whether it was. */
  create(capacity: number): (key: string) => boolean;
}

const ROUNDS = 3;
const POPULATION = 1_000_000;
const CAPACITY = 100_000;
const KEY_LENGTH = 10;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { traces: { type: 'string', default: '../shared/traces' }, requests: { type: 'string' } },
  });
  const requests = values.requests === undefined ? 3_000_000 : Number(values.requests);
  if (!Number.isInteger(requests)) positive('--requests', values.requests, requests);
  const rows = [...synthetic(requests), ...recorded(values.traces)].flatMap(compare);
  printTable(['workload', 'objects that fit', 'policy', 'hit ratio', 'Mrequests/s', 'rate of lru-cache'], rows);
}

function synthetic(requests: number): Workload[] {
  const draw = zipf(POPULATION, 1, seededRandom(7));
  const popular = Uint32Array.from({ length: requests }, draw);
  let fresh = POPULATION;
  const withOneHits = popular.map((key, at) => (at % 5 === 4 ? fresh++ : key));
  return [
    { title: 'Zipf 1.0, 1M keys', capacity: CAPACITY, keys: popular },
    { title: 'the same, 20 % asked for once', capacity: CAPACITY, keys: withOneHits },
  ];
}

/** A tenth and a third of the distinct keys of each trace. */
function recorded(folder: string): Workload[] {
  return ['nasa-19950801', 'mooncake-conversation'].flatMap((name) => {
    const path = join(folder, `${name}.csv.gz`);
    if (!existsSync(path)) return [];
    const [, ...lines] = gunzipSync(readFileSync(path)).toString('latin1').trimEnd().split('\n');
    const keys = Uint32Array.from(lines, (line) => Number(line.split(',')[1]));
    const distinct = new Set(keys).size;
    return [0.1, 0.3].map((share) => ({ title: name, capacity: Math.round(distinct * share), keys }));
  });
}

function compare({ title, capacity, keys }: Workload): string[][] {
  // Text of the keys beforehand: both policies have the same Map look-ups to do, and nothing else is to be measured.
  const names = new Map<number, string>();
  for (const key of keys) if (!names.has(key)) names.set(key, String(key).padStart(KEY_LENGTH, '0'));
  const sequence = Array.from(keys, (key) => names.get(key) ?? '');

  const results = POLICIES.map(({ name }) => ({ name, hits: 0, rates: [] as number[] }));
  for (let round = 0; round < ROUNDS; round++) {
    POLICIES.forEach(({ create }, i) => {
      const ask = create(capacity);
      const began = performance.now();
      let hits = 0;
      for (const key of sequence) if (ask(key)) hits += 1;
      const seconds = (performance.now() - began) / 1000;
      const result = results[i];
      if (result === undefined) return;
      result.hits = hits;
      result.rates.push(sequence.length / seconds / 1e6);
    });
  }
  const lruRate = median(results[1]?.rates ?? []);
  return results.map(({ name, hits, rates }) => [
    title,
    capacity.toLocaleString('en-US'),
    name,
    `${((100 * hits) / sequence.length).toFixed(2)} %`,
    short(median(rates)),
    short(median(rates) / lruRate),
  ]);
}

const BODY = Buffer.alloc(0);
const STAMP = { epoch: 'bench', seq: 0 };

function entryOf(key: string): CacheEntry {
  const windows = { ttlMs: 1e9, staleWhileRevalidateMs: 0, staleIfErrorMs: 0 };
  return { key, body: BODY, tags: [], stamp: STAMP, storedAt: 0, ...windows };
}

/** The memory tier with room for so many objects. */
function memoryOf(capacity: number): MemoryStore {
  const probe = createMemoryStore(Number.MAX_SAFE_INTEGER);
  probe.set(entryOf('0'.repeat(KEY_LENGTH)));
  return createMemoryStore(probe.usage().bytes * capacity);
}

const POLICIES: readonly Policy[] = [
  {
    name: 'SIEVE, the memory tier',
    create: (capacity) => {
      const store = memoryOf(capacity);
      return (key) => {
        if (store.get(key) !== undefined) return true;
        store.set(entryOf(key));
        return false;
      };
    },
  },
  {
    name: 'LRU, lru-cache',
    create: (capacity) => {
      const lru = new LRUCache<string, CacheEntry>({ max: capacity });
      return (key) => {
        if (lru.get(key) !== undefined) return true;
        lru.set(key, entryOf(key));
        return false;
      };
    },
  },
  {
    name: 'SIEVE, copies from L1 at their second time',
    create: (capacity) => {
      const store = memoryOf(capacity);
      return (key) => {
        if (store.get(key) !== undefined) return true;
        const entry = entryOf(key);
        if (store.wants(entry)) store.set(entry);
        return false;
      };
    },
  },
];

runBenchmark(main);
