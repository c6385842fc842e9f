/**
 * What goes on in the background while latency is measured: every second a 5 MB object that the proxy has not seen, and
 * a hundred tag invalidations a second in the region's control log. `node disturbance.cjs PORT [REDIS_URL]`, until SIGTERM; says `ready` once both go on.
 */
import { randomUUID } from 'node:crypto';
import { createClient } from 'redis';
import { request } from 'undici';
import { appendMessage } from '../../lambda/invalidation/append';

const FILL_EVERY_MS = 1_000;
const INVALIDATE_EVERY_MS = 10;
const MAX_FILLS_AT_ONCE = 4;

const [port, redisUrl] = process.argv.slice(2);
let fills = 0;
let underWay = 0;

async function fill(): Promise<void> {
  if (underWay >= MAX_FILLS_AT_ONCE) return;
  underWay += 1;
  fills += 1;
  try {
    const { body } = await request(`http://127.0.0.1:${port}/big/${process.pid}-${fills}`);
    for await (const _ of body);
  } finally {
    underWay -= 1;
  }
}

async function invalidate(url: string): Promise<void> {
  const redis = await createClient({ url }).connect();
  let user = 0;
  const purge = async () => {
    user += 1;
    const targets = { keys: [], tags: [`user:${user}`], prefixes: [], patterns: [] };
    await appendMessage(redis, { kind: 'invalidate', id: randomUUID(), targets });
  };
  await purge();
  setInterval(purge, INVALIDATE_EVERY_MS);
}

async function main(): Promise<void> {
  await fill();
  setInterval(fill, FILL_EVERY_MS);
  if (redisUrl !== undefined) await invalidate(redisUrl);
  process.stdout.write('ready\n');
}

main().catch((error: unknown) => {
  process.stderr.write(`${String(error)}\n`);
  process.exit(1);
});
process.once('SIGTERM', () => process.exit(0));
