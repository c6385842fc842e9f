/**
 * What an answer costs without a cache: node:http that parses the JSON of a POST (takes a binary one as it is) and sends one given
 * body with given header fields. `node bare-server.cjs PORT JSON` with `BareAnswer`.
 */
import { createServer } from 'node:http';

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

const server = createServer((request, response) => {
  if (request.method !== 'POST') {
    response.writeHead(200, headers).end(body);
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
