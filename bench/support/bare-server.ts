/**
 * What an answer costs without a cache: node:http that parses the JSON of a POST (takes a binary one as it is) and sends one given
 * body with given header fields. `node bare-server.cjs PORT JSON [REDIS_URL]` with `BareAnswer`; with Redis, a GET first
 * reads what the edge service has stored there under the path, and answers once it is there.
 */
import { createServer } from 'node:http';
import { createClient, RESP_TYPES } from 'redis';
import { entryKey } from '../../containers/edge/cache/l1-scripts';

/** The answer to every request. */
export interface BareAnswer {
  /** Names and values in turn. */
  readonly headers: readonly string[];
  readonly body: string;
  /** Bytes of the body, where it is not `body`. */
  readonly bytes?: number;
}

const answer: BareAnswer = JSON.parse(process.argv[3] ?? '{}');
const body = answer.bytes === undefined ? Buffer.from(answer.body) : Buffer.alloc(answer.bytes);
const headers = [...answer.headers];

const redisUrl = process.argv[4];
const redis = redisUrl === undefined ? undefined : clientOf(redisUrl);

const server = createServer((request, response) => {
  if (request.method !== 'POST') {
    if (redis === undefined) response.writeHead(200, headers).end(body);
    else {
      redis.get(entryKey(request.url ?? '')).then(
        (stored) => response.writeHead(stored === null ? 404 : 200, headers).end(body),
        () => response.writeHead(502, headers).end(body),
      );
    }
    return;
  }
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const posted = Buffer.concat(chunks);
    if (request.headers['content-type'] === 'application/json') JSON.parse(posted.toString());
    response.writeHead(200, headers).end(body);
  });
});
server.keepAliveTimeout = 600_000;
server.listen(Number(process.argv[2]), '127.0.0.1');
process.once('SIGTERM', () => process.exit(0));

/** As the edge service's own, connecting in the background. */
function clientOf(url: string) {
  const client = createClient({
    url,
    maintNotifications: 'disabled',
    commandOptions: { timeout: 0, typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } },
  });
  client.on('error', (error: Error) => process.stderr.write(`${error.message}\n`));
  void client.connect();
  return client;
}
