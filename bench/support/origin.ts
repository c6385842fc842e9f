/**
 * The HTTP origin of the benchmarks: `/object/N` is 200 bytes of JSON, `/big/N` 5 MB at about 100 Mbit/s, as from a far
 * origin, both fresh for a day.
 */
import { randomBytes } from 'node:crypto';
import { createServer, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

const BIG_BYTES = 5 * 1024 * 1024;
const PIECE_BYTES = 64 * 1024;
const PIECE_EVERY_MS = 5;
const big = randomBytes(BIG_BYTES);

const server = createServer((request, response) => {
  const body = request.url?.startsWith('/big/')
    ? big
    : Buffer.from(JSON.stringify({ path: request.url, padding: 'x'.repeat(170) }));
  response.writeHead(200, {
    'content-type': 'application/json',
    'content-length': body.length,
    'cache-control': 'public, max-age=86400',
    etag: '"1"',
    'cache-tag': 'bench',
  });
  if (body === big) void sendSlowly(response);
  else response.end(body);
});

async function sendSlowly(response: ServerResponse): Promise<void> {
  for (let at = 0; at < big.length; at += PIECE_BYTES) {
    response.write(big.subarray(at, at + PIECE_BYTES));
    await sleep(PIECE_EVERY_MS);
  }
  response.end();
}
server.keepAliveTimeout = 600_000;
server.listen(Number(process.argv[2]), '127.0.0.1');
process.once('SIGTERM', () => process.exit(0));
