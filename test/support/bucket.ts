import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** An S3 endpoint over HTTP with one bucket in memory: GetObject and ListObjectsV2, as the edge service uses them. */
export interface TestBucket {
  /** For `AWS_ENDPOINT_URL`; by IP address, so that clients address the bucket by path. */
  readonly endpoint: string;
  readonly name: string;
  put(key: string, body: string | Uint8Array): void;
  /** Makes every request fail with this status, or answers again with `undefined`. */
  failWith(status: number | undefined): void;
  stop(): Promise<void>;
}

/** Starts the endpoint on a free port of 127.0.0.1. */
export async function startBucket(name = 'models-test'): Promise<TestBucket> {
  const objects = new Map<string, Buffer>();
  let failure: number | undefined;

  const answer = (request: IncomingMessage, response: ServerResponse) => {
    const url = new URL(request.url ?? '/', 'http://127.0.0.1');
    const key = decodeURIComponent(url.pathname.slice(`/${name}/`.length));
    if (failure !== undefined) return sendError(response, failure, 'InternalError');
    if (url.searchParams.get('list-type') === '2') {
      return send(response, 200, listing(name, objects, url.searchParams.get('prefix') ?? ''));
    }
    const body = objects.get(key);
    if (body === undefined) return sendError(response, 404, 'NoSuchKey');
    return send(response, 200, body);
  };

  const server = createServer(answer).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    endpoint: `http://127.0.0.1:${port}`,
    name,
    put: (key, body) => void objects.set(key, Buffer.from(body)),
    failWith: (status) => {
      failure = status;
    },
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function listing(name: string, objects: ReadonlyMap<string, Buffer>, prefix: string): string {
  const contents = [...objects]
    .filter(([key]) => key.startsWith(prefix))
    .map(([key, body]) => {
      const etag = createHash('md5').update(body).digest('hex');
      return `<Contents><Key>${key}</Key><ETag>"${etag}"</ETag><Size>${body.length}</Size></Contents>`;
    });
  return `<?xml version="1.0"?><ListBucketResult><Name>${name}</Name><IsTruncated>false</IsTruncated>${contents.join('')}</ListBucketResult>`;
}

function sendError(response: ServerResponse, status: number, code: string): void {
  send(response, status, `<?xml version="1.0"?><Error><Code>${code}</Code><Message>${code}</Message></Error>`);
}

function send(response: ServerResponse, status: number, body: string | Buffer): void {
  response.writeHead(status, { 'content-length': Buffer.byteLength(body) }).end(body);
}
