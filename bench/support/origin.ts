/** The HTTP origin of the benchmarks: `/object/N` is 200 bytes of JSON, `/big/N` 5 MB, both fresh for a day. */
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';

const BIG_BYTES = 5 * 1024 * 1024;
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
  response.end(body);
});
server.keepAliveTimeout = 600_000;
server.listen(Number(process.argv[2]), '127.0.0.1');
process.once('SIGTERM', () => process.exit(0));
