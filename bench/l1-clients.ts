/**
 * Clients for the L1 tier: CPU per GET of a 200-byte value and GETs per second, 64 in flight, on one connection to one
 * redis-server. Rounds of all clients are interleaved. `npm run bench:l1-clients -- [rounds]`.
 */
import { GlideClient } from '@valkey/valkey-glide';
import IORedis from 'ioredis';
import IOValkey from 'iovalkey';
import { createClient, RESP_TYPES } from 'redis';
import { Attempts } from '../containers/edge/cache/attempts';
import { SET_UNDER_LEASE } from '../containers/edge/cache/l1-scripts';
import { createL1Store } from '../containers/edge/cache/l1-store';
import { encodeL1Value, STAMP_BYTES } from '../containers/edge/cache/l1-value';
import { withinDeadline } from '../containers/edge/cache/redis-connection';
import type { CacheEntry } from '../containers/edge/cache/types';
import { startRedis } from '../test/support/redis';
import { median, printTable, short } from './support/report';

const KEYS = 1_000;
const VALUE_BYTES = 200;
const IN_FLIGHT = 64;
const ROUND_OPERATIONS = 30_000;
const DEADLINE_MS = 5_000;

interface Candidate {
  readonly name: string;
  run(key: number): Promise<unknown>;
  close(): unknown;
}

interface Sample {
  readonly cpuUs: number;
  readonly perSecond: number;
}

async function main(): Promise<void> {
  const rounds = Number(process.argv[2] ?? 7);
  const redis = await startRedis();
  try {
    const { entries, value } = await fill(redis.url);
    const reads = await openReads(redis.url, redis.port);
    const writes = await openWrites(redis.url, entries, value);
    print('GET of 200 bytes, 64 in flight', await measure(reads, rounds));
    print('SET of 200 bytes, 64 in flight', await measure(writes, rounds));
    for (const candidate of [...reads, ...writes]) await candidate.close();
  } finally {
    await redis.stop();
  }
}

const keyOf = (i: number) => `k${i % KEYS}`;

async function fill(url: string): Promise<{ entries: CacheEntry[]; value: Buffer }> {
  const entries = Array.from({ length: KEYS }, (_, i) => entryOf(keyOf(i)));
  const client = await connected(url);
  const value = Buffer.alloc(VALUE_BYTES, 'v');
  for (const { key } of entries) await client.set(key, value);
  client.destroy();
  return { entries, value };
}

function entryOf(key: string): CacheEntry {
  const freshness = { storedAt: Date.now(), ttlMs: 3_600_000, staleWhileRevalidateMs: 0, staleIfErrorMs: 0 };
  return { key, body: Buffer.alloc(VALUE_BYTES, 'v'), tags: ['model:m'], stamp: { epoch: 'a', seq: 1 }, ...freshness };
}

const SILENT = { info: () => undefined, warn: () => undefined, error: () => undefined };
const BUFFERS = { [RESP_TYPES.BLOB_STRING]: Buffer };

function connected(url: string) {
  return createClient({
    url,
    maintNotifications: 'disabled',
    commandOptions: { timeout: 0, typeMapping: BUFFERS },
  }).connect();
}

async function openReads(url: string, port: number): Promise<Candidate[]> {
  const plain = await connected(url);
  const byDefault = await createClient({ url, maintNotifications: 'disabled' }).connect();
  const ownTimers = await connected(url);
  const oneTimer = await connected(url);
  const attempts = new Attempts({
    who: 'L1',
    deadlineMs: DEADLINE_MS,
    hungMs: DEADLINE_MS,
    onSuccess: () => undefined,
    onFailure: () => undefined,
    onHung: () => undefined,
  });
  const batched = batchedGet(await connected(url));
  const store = createL1Store(url, SILENT, { deadlineMs: DEADLINE_MS });
  while (!store.healthy()) await new Promise((resolve) => setTimeout(resolve, 5));
  for (let i = 0; i < KEYS; i++) await store.set(entryOf(keyOf(i)));
  const ioredis = new IORedis(port, '127.0.0.1', { enableAutoPipelining: true });
  const iovalkey = new IOValkey(port, '127.0.0.1', { enableAutoPipelining: true });
  const glide = await GlideClient.createClient({
    addresses: [{ host: '127.0.0.1', port }],
    requestTimeout: DEADLINE_MS,
  });
  return [
    { name: 'redis, timeout 0', run: (i) => plain.get(keyOf(i)), close: () => plain.destroy() },
    { name: 'redis, default', run: (i) => byDefault.get(keyOf(i)), close: () => byDefault.destroy() },
    {
      name: 'redis, timeout 0 + a timer per command',
      run: (i) => withinDeadline('L1', ownTimers.get(keyOf(i)), DEADLINE_MS),
      close: () => ownTimers.destroy(),
    },
    {
      name: 'redis, timeout 0 + one timer for all',
      run: (i) => attempts.run(oneTimer.get(keyOf(i))),
      close: () => oneTimer.destroy(),
    },
    { name: 'redis, timeout 0, MGET per turn', run: (i) => batched.get(keyOf(i)), close: () => batched.close() },
    { name: 'ours: L1 store, entry decoded', run: (i) => store.get(keyOf(i)), close: () => store.close() },
    { name: 'ioredis, auto-pipelining', run: (i) => ioredis.getBuffer(keyOf(i)), close: () => ioredis.disconnect() },
    { name: 'iovalkey, auto-pipelining', run: (i) => iovalkey.getBuffer(keyOf(i)), close: () => iovalkey.disconnect() },
    { name: 'valkey-glide', run: (i) => glide.get(keyOf(i)), close: () => glide.close() },
  ];
}

/** GETs of one turn of the event loop as one MGET. */
function batchedGet(client: Awaited<ReturnType<typeof connected>>) {
  let keys: string[] = [];
  let waiting: ((value: Buffer | null) => void)[] = [];
  const flush = () => {
    const [asked, answered] = [keys, waiting];
    [keys, waiting] = [[], []];
    void client.mGet(asked).then((values) => {
      for (const [i, answer] of answered.entries()) answer(values[i] ?? null);
    });
  };
  return {
    get: (key: string) =>
      new Promise<Buffer | null>((resolve) => {
        if (keys.length === 0) setImmediate(flush);
        keys.push(key);
        waiting.push(resolve);
      }),
    close: () => client.destroy(),
  };
}

/** What the stale-set guard costs: the same bytes by SET and by the script. */
async function openWrites(url: string, entries: CacheEntry[], bytes: Buffer): Promise<Candidate[]> {
  const plain = await connected(url);
  const scripted = await createClient({
    url,
    maintNotifications: 'disabled',
    scripts: { setUnderLease: SET_UNDER_LEASE },
    commandOptions: { timeout: 0 },
  }).connect();
  const values = entries.map(encodeL1Value);
  const bytesOf = (i: number) => values[i % KEYS] ?? bytes.subarray(STAMP_BYTES);
  const expiration = { type: 'PX', value: 3_600_000 } as const;
  return [
    { name: 'plain SET', run: (i) => plain.set(keyOf(i), bytesOf(i), { expiration }), close: () => plain.destroy() },
    {
      name: 'script with stale-set guard',
      run: (i) => scripted.setUnderLease(keyOf(i), 'token', bytesOf(i), 3_600_000),
      close: () => scripted.destroy(),
    },
  ];
}

async function measure(candidates: readonly Candidate[], rounds: number): Promise<Map<string, Sample[]>> {
  const samples = new Map<string, Sample[]>(candidates.map(({ name }) => [name, []]));
  for (let round = 0; round <= rounds; round++) {
    for (const candidate of candidates) {
      const sample = await oneRound(candidate);
      // The first round warms up.
      if (round > 0) samples.get(candidate.name)?.push(sample);
    }
  }
  return samples;
}

async function oneRound({ run }: Candidate): Promise<Sample> {
  let next = 0;
  const lane = async () => {
    while (next < ROUND_OPERATIONS) await run(next++);
  };
  const cpu = process.cpuUsage();
  const start = performance.now();
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
  const seconds = (performance.now() - start) / 1_000;
  const { user, system } = process.cpuUsage(cpu);
  return { cpuUs: (user + system) / ROUND_OPERATIONS, perSecond: ROUND_OPERATIONS / seconds };
}

function print(title: string, samples: Map<string, Sample[]>): void {
  const rows = [...samples].map(([name, all]) => ({
    name,
    cpuUs: median(all.map(({ cpuUs }) => cpuUs)),
    perSecond: median(all.map(({ perSecond }) => perSecond)),
  }));
  const least = Math.min(...rows.map(({ cpuUs }) => cpuUs));
  printTable(
    [title, 'CPU us/op', 'CPU, least = 1', 'ops/s'],
    rows
      .toSorted((a, b) => a.cpuUs - b.cpuUs)
      .map(({ name, cpuUs, perSecond }) => [name, cpuUs.toFixed(1), (cpuUs / least).toFixed(2), short(perSecond)]),
  );
}

void main();
