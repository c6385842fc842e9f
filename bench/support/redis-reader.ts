/** A worker that reads one key of Redis again and again until it is told to stop, and then posts how long reads took. */
import { parentPort, workerData } from 'node:worker_threads';
import { build } from 'hdr-histogram-js';
import { createClient } from 'redis';

/** Milliseconds. */
export interface ReadLatency {
  readonly reads: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

const KEY = 'reader';
const PAUSE_MS = 1;

async function main(url: string): Promise<void> {
  const client = await createClient({ url }).connect();
  await client.set(KEY, 'x'.repeat(100));
  let stopped = false;
  parentPort?.once('message', () => {
    stopped = true;
  });
  parentPort?.postMessage('reading');
  const histogram = build({ lowestDiscernibleValue: 1, highestTrackableValue: 120_000_000 });
  while (!stopped) {
    const asked = performance.now();
    await client.get(KEY);
    const ms = performance.now() - asked;
    // A read that hangs stands for all that would have been due meanwhile.
    histogram.recordValueWithExpectedInterval(Math.max(1, Math.round(ms * 1000)), PAUSE_MS * 1000);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  client.destroy();
  const at = (share: number) => histogram.getValueAtPercentile(share) / 1000;
  const latency: ReadLatency = { reads: histogram.totalCount, p50: at(50), p99: at(99), max: at(100) };
  parentPort?.postMessage(latency);
}

void main(String(workerData));
