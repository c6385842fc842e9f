import { randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import Table from 'cli-table3';
import { openBodyStore } from '../containers/edge/cache/body-store';
import { DiskStore } from '../containers/edge/cache/disk-store';
import type { CacheEntry } from '../containers/edge/cache/types';

/*
 * Rates of the disk tier: the entry log alone, and the body store against plain streams over the same files, in turns.
 * npm run bench:disk -- [DIRECTORY]
 */

const MIB = 1024 * 1024;
const ENTRIES = 50_000;
const ENTRY_BYTES = 300;
const IN_FLIGHT = 64;
const BODY_BYTES = 128 * MIB;
const CHUNK_BYTES = 64 * 1024;
const ROUNDS = 5;
const silent = { info: () => undefined, warn: () => undefined, error: () => undefined };

interface Rate {
  readonly perSecond: number;
  /** Us. */
  readonly p50: number;
  readonly p99: number;
}

/** Runs `work` for every index, `inFlight` at a time. */
async function measure(count: number, inFlight: number, work: (i: number) => Promise<unknown>): Promise<Rate> {
  const times: number[] = [];
  let next = 0;
  const began = performance.now();
  const worker = async (): Promise<void> => {
    for (let i = next++; i < count; i = next++) {
      const asked = performance.now();
      await work(i);
      times.push(performance.now() - asked);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
  const seconds = (performance.now() - began) / 1000;
  times.sort((a, b) => a - b);
  const quantile = (share: number): number => (times[Math.floor(share * (times.length - 1))] ?? 0) * 1000;
  return { perSecond: count / seconds, p50: quantile(0.5), p99: quantile(0.99) };
}

function entry(i: number, fill: number): CacheEntry {
  return {
    key: `predict:ranker:v3:${i}`,
    body: Buffer.alloc(ENTRY_BYTES, fill),
    tags: ['model:ranker', 'model:ranker@v3'],
    stamp: { epoch: 'bench', seq: fill },
    storedAt: Date.now(),
    ttlMs: 3_600_000,
    staleWhileRevalidateMs: 0,
    staleIfErrorMs: 0,
  };
}

async function measureEntries(directory: string): Promise<void> {
  const store = await DiskStore.open(join(directory, 'entries'), 1024 * MIB, silent);
  const table = new Table({
    head: ['entry log, 300-byte bodies', 'in flight', 'per second', 'p50 us', 'p99 us'],
    style: { head: [], border: [] },
  });
  const row = async (name: string, inFlight: number, work: (i: number) => Promise<unknown>): Promise<void> => {
    const { perSecond, p50, p99 } = await measure(ENTRIES, inFlight, work);
    table.push([name, inFlight, Math.round(perSecond), p50.toFixed(0), p99.toFixed(0)]);
  };
  await row('write', 1, (i) => store.set(entry(i, 1)));
  await row('write', IN_FLIGHT, (i) => store.set(entry(i, 2)));
  await row('write', 1024, (i) => store.set(entry(i, 3)));
  await row('read', 1, (i) => store.get(`predict:ranker:v3:${(i * 7919) % ENTRIES}`));
  await row('read', IN_FLIGHT, (i) => store.get(`predict:ranker:v3:${(i * 7919) % ENTRIES}`));
  await store.close();
  const began = performance.now();
  const next = await DiskStore.open(join(directory, 'entries'), 1024 * MIB, silent);
  await next.loaded;
  const { entries, bytes } = next.usage();
  console.log(table.toString());
  console.log(
    `start-up scan: ${entries} entries, ${(bytes / MIB).toFixed(0)} MiB in ${(performance.now() - began).toFixed(0)} ms`,
  );
  await next.close();
}

async function* chunksOf(content: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < content.length; at += CHUNK_BYTES) yield content.subarray(at, at + CHUNK_BYTES);
}

async function drain(stream: Readable): Promise<void> {
  for await (const chunk of stream) void chunk;
}

async function measureBodies(directory: string): Promise<void> {
  const store = await openBodyStore(join(directory, 'bodies'), 4 * BODY_BYTES, silent);
  const plain = join(directory, 'plain');
  const content = randomBytes(BODY_BYTES);
  let id = '';
  const subjects: Record<string, () => Promise<unknown>> = {
    'plain write': () => pipeline(Readable.from(chunksOf(content)), createWriteStream(plain)),
    'store in': async () => {
      const writer = await store.create(content.length);
      for await (const chunk of chunksOf(content)) await writer.write(chunk);
      id = await writer.commit();
    },
    'plain read': () => drain(createReadStream(plain, { highWaterMark: CHUNK_BYTES })),
    'store out': async () => {
      const body = await store.open(id);
      if (!body) throw new Error('the body is gone');
      await drain(body.read());
      await body.close();
    },
  };
  const rates = new Map<string, number[]>(Object.keys(subjects).map((name) => [name, []]));
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [name, run] of Object.entries(subjects)) {
      const began = performance.now();
      await run();
      // The first round warms up.
      if (round > 0) rates.get(name)?.push(BODY_BYTES / MIB / ((performance.now() - began) / 1000));
    }
  }
  const median = (name: string): number => rates.get(name)?.sort((a, b) => a - b)[Math.floor(ROUNDS / 2)] ?? 0;
  const table = new Table({
    head: ['128 MiB body, 64 KiB chunks', 'MiB/s', 'of plain'],
    style: { head: [], border: [] },
  });
  for (const [name, against] of [
    ['plain write', 'plain write'],
    ['store in', 'plain write'],
    ['plain read', 'plain read'],
    ['store out', 'plain read'],
  ] as const) {
    table.push([name, median(name).toFixed(0), (median(name) / median(against)).toFixed(2)]);
  }
  console.log(table.toString());
  await store.close();
}

async function main(): Promise<void> {
  const directory = await mkdtemp(join(process.argv[2] ?? tmpdir(), 'mlcdn-bench-'));
  try {
    await measureEntries(directory);
    await measureBodies(directory);
  } finally {
    await rm(directory, { recursive: true });
  }
}

void main();
