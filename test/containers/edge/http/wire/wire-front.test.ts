import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import fc from 'fast-check';
import { createHttpServer, refuseUnreadable } from '../../../../../containers/edge/http/http-server';
import { HTTP_LIMITS } from '../../../../../containers/edge/http/limits';
import { notesOf } from '../../../../../containers/edge/http/wire/routed-stream';
import type { WireHandler } from '../../../../../containers/edge/http/wire/types';
import { WireFront } from '../../../../../containers/edge/http/wire/wire-front';
import { rawSocket } from '../../../../support/raw-http';

const LATER = '/hot/later';
const LEFT = '/left';

/** Answers everything below `/hot`, at once or in a later turn; takes `/left` and leaves it a turn later. */
const hot: WireHandler = {
  takes({ method, target, body }, reply) {
    if (target === LEFT) {
      setImmediate(() => reply.pass('noted'));
      return true;
    }
    if (!target.startsWith('/hot')) return false;
    const answer = () => reply.send(headFor(body), `hot ${method} ${target} ${body}`);
    const headFor = (text: string) =>
      `HTTP/1.1 200 OK\r\ncontent-length: ${`hot ${method} ${target} ${text}`.length}\r\n`;
    if (target === LATER) setImmediate(answer);
    else answer();
    return true;
  },
};

/** The same as a plain server says it. */
const routed: RequestListener = (request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const kind = request.url?.startsWith('/hot') ? 'hot' : 'routed';
    const text = `${kind} ${request.method} ${request.url} ${Buffer.concat(chunks).toString('latin1')}`;
    const body = Buffer.from(text, 'latin1');
    response.sendDate = false;
    if (request.url === '/stream') response.write('first ');
    else response.setHeader('content-length', body.length);
    setImmediate(() => response.end(body));
  });
};

let plain: Server;
let fronted: Server;
let front: WireFront;

async function listening(server: Server): Promise<Server> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

const urlOf = (server: Server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

beforeAll(async () => {
  const options = { keepAliveTimeout: HTTP_LIMITS.keepAliveTimeoutMs };
  plain = await listening(createServer(options, routed));
  const created = createHttpServer(routed, hot, { ...HTTP_LIMITS, checkIntervalMs: 20 });
  front = created.front;
  fronted = await listening(created.server);
  for (const server of [plain, fronted]) {
    server.on('clientError', (error, socket: Socket) => refuseUnreadable(error, socket, HTTP_LIMITS));
  }
});
afterAll(() => {
  plain.close();
  plain.closeAllConnections();
  fronted.close();
  fronted.closeIdleConnections();
});

/** One client, with everything that it has received. */
class Client {
  readonly #socket: Socket;
  readonly closed: Promise<unknown>;
  received = '';

  constructor(server: Server) {
    this.#socket = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', noDelay: true });
    this.#socket.on('data', (chunk: Buffer) => {
      this.received += chunk.toString('latin1');
    });
    this.#socket.on('error', () => undefined);
    this.closed = once(this.#socket, 'close');
  }

  async write(bytes: Buffer): Promise<void> {
    await new Promise<void>((resolve) => this.#socket.write(bytes, () => resolve()));
  }

  /** Resolves when so many bytes have come, or the server has closed the connection. */
  async has(bytes: number): Promise<void> {
    while (this.received.length < bytes && !this.#socket.destroyed) {
      await Promise.race([once(this.#socket, 'data'), this.closed]);
    }
  }

  /** Sends no more. Half a request may stand there: Node answers that too. */
  async end(): Promise<string> {
    this.#socket.end();
    await this.closed;
    return this.received;
  }
}

/** What Node says to a client that waits for each answer: it drops those still due when it cannot read a request. */
async function patientConversation(server: Server, requests: readonly string[]): Promise<string> {
  const client = new Client(server);
  for (const request of requests) {
    const answered = once(server, 'request').then(([, response]) => response.closed || once(response, 'close'));
    await client.write(Buffer.from(request, 'latin1'));
    if (request !== UNENDED) await Promise.race([answered, client.closed]);
  }
  return client.end();
}

/** What a server says to a client that sends everything without waiting and ends when it has had so much. */
async function hastyConversation(server: Server, pieces: readonly Buffer[], bytes: number): Promise<string> {
  const client = new Client(server);
  for (const piece of pieces) await client.write(piece);
  await client.has(bytes);
  return client.end();
}

/** What clients can tell apart: field names in lower case, in order of name, without the time. */
function comparable(stream: string): string {
  return stream.replace(/HTTP\/1\.1 [\s\S]*?\r\n\r\n/g, (head) => {
    const [status, ...fields] = head.trimEnd().split('\r\n');
    const kept = fields.map((field) => field.replace(/^[^:]+/, (name) => name.toLowerCase()));
    return [status, ...kept.filter((field) => !field.startsWith('date:')).sort()].join('\n').concat('\n\n');
  });
}

const UNENDED = 'GET /cold HTTP/1.1\r\nHost: x\r\nUn';

const message = (line: string, ...fields: string[]) => `${line}\r\n${['Host: x', ...fields].join('\r\n')}\r\n\r\n`;

const REQUESTS: readonly string[] = [
  message('GET /hot HTTP/1.1'),
  message(`GET ${LATER} HTTP/1.1`),
  message(`GET ${LEFT} HTTP/1.1`),
  `${message('POST /hot HTTP/1.1', 'Content-Length: 5')}abcde`,
  // Longer than any head may be.
  `${message('POST /hot HTTP/1.1', 'Content-Length: 40000')}${'0123456789'.repeat(4_000)}`,
  message('GET /cold HTTP/1.1'),
  message('GET /stream HTTP/1.1'),
  message('HEAD /cold HTTP/1.1'),
  `${message('POST /cold HTTP/1.1', 'Content-Length: 4')}abcd`,
  `${message('POST /cold HTTP/1.1', 'Transfer-Encoding: chunked')}3\r\nabc\r\n0\r\n\r\n`,
  message('GET  /cold HTTP/1.1'),
  `${message('POST /cold HTTP/1.1', `Content-Length: ${100_000}`)}${'x'.repeat(100_000)}`,
];

/** Behind these a connection is closed. */
const LAST_REQUESTS: readonly string[] = [
  message('GET /hot HTTP/1.1', 'Connection: close'),
  'GET /cold HTTP/1.0\r\nHost: x\r\n\r\n',
  `${message('POST /cold HTTP/1.1', 'Content-Length: 3', 'Content-Length: 3')}abc`,
  `${message('POST /hot HTTP/1.1', 'Content-Length: 2', 'Transfer-Encoding: chunked')}0\r\n\r\n`,
  message('get /cold HTTP/1.1'),
  'garbage\r\n\r\n',
  UNENDED,
];

describe('a connection with a front', () => {
  it('reads and answers what a plain server does, however the bytes arrive', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom(...REQUESTS), { maxLength: 4 }),
        fc.constantFrom(...LAST_REQUESTS),
        fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 4 }),
        async (before, last, cuts) => {
          const requests = [...before, last];
          const bytes = Buffer.from(requests.join(''), 'latin1');
          const at = [...new Set(cuts.map((cut) => Math.floor(cut * bytes.length)))].sort((a, b) => a - b);
          const pieces = [0, ...at].map((start, i) => bytes.subarray(start, at[i] ?? bytes.length));
          const whole = pieces.filter((piece) => piece.length > 0);
          const expected = await patientConversation(plain, requests);
          const begun = last === UNENDED ? expected.lastIndexOf('HTTP/1.1 400') : expected.length;
          const answered = await hastyConversation(fronted, whole, begun);
          expect(comparable(answered)).toBe(comparable(expected));
        },
      ),
      { numRuns: 250 },
    );
  });

  it('goes on reading here after the server has answered a request', async () => {
    const socket = await rawSocket(urlOf(fronted));
    for (const [line, body] of [
      ['GET /hot HTTP/1.1', 'hot GET /hot '],
      ['GET /cold HTTP/1.1', 'routed GET /cold '],
      ['GET /hot HTTP/1.1', 'hot GET /hot '],
    ] as const) {
      socket.write(message(line));
      expect(await socket.answer()).toMatchObject({ status: 200, body });
    }
    await socket.close();
  });

  it('tells the server that the client of a request in its hands has gone', async () => {
    const gone = new Promise<void>((resolve) => {
      fronted.once('request', (_request, response) => response.once('close', () => resolve()));
    });
    const socket = await rawSocket(urlOf(fronted));
    socket.write('POST /cold HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n');
    await socket.flushed();
    await once(fronted, 'request');
    await socket.close();
    await gone;
  });

  it('closes behind the answer that is due once it is to stop, and at once when idle', async () => {
    const server = createServer(routed);
    const own = new WireFront(server, hot, HTTP_LIMITS);
    await listening(server);
    const idle = await rawSocket(urlOf(server));
    const busy = await rawSocket(urlOf(server));
    idle.write(message('GET /hot HTTP/1.1'));
    await idle.answer();
    busy.write('POST /hot HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nab');
    await busy.flushed();
    idle.write(message('GET /hot HTTP/1.1'));
    await idle.answer();
    own.stop();
    const closed = once(server, 'close');
    server.close();
    await idle.closed();
    busy.write('c');
    expect(await busy.answer()).toMatchObject({ body: 'hot POST /hot abc', headers: { connection: 'close' } });
    await busy.closed();
    await closed;
  });
});

it('closes a connection that the server has for good behind the answer that was due when it was to stop', async () => {
  let answer: () => void = () => undefined;
  const server = createServer((_request, response) => {
    answer = () => response.end('late');
  });
  const own = new WireFront(server, hot, HTTP_LIMITS);
  await listening(server);
  const socket = await rawSocket(urlOf(server));
  const asked = once(server, 'request');
  socket.write(`${message('POST /cold HTTP/1.1', 'Transfer-Encoding: chunked')}0\r\n\r\n`);
  await asked;
  own.stop();
  const closed = once(server, 'close');
  server.close();
  answer();
  expect(await socket.answer()).toMatchObject({ body: 'late' });
  await socket.closed();
  await closed;
});

it('gives the server what was noted of a request that is left to it, and of no other', async () => {
  const { server } = createHttpServer((request, response) => response.end(String(notesOf(request))), hot, HTTP_LIMITS);
  await listening(server);
  const socket = await rawSocket(urlOf(server));
  socket.write([LEFT, '/cold', LEFT, '/hot', '/cold'].map((target) => message(`GET ${target} HTTP/1.1`)).join(''));
  const answers: string[] = [];
  for (let i = 0; i < 5; i++) answers.push((await socket.answer()).body);
  expect(answers).toEqual(['noted', 'undefined', 'noted', 'hot GET /hot ', 'undefined']);
  await socket.close();
  server.close();
});

it('keeps no connection that is closed', async () => {
  const sockets = await Promise.all(Array.from({ length: 5 }, () => rawSocket(urlOf(fronted))));
  for (const socket of sockets) {
    socket.write(message('GET /hot HTTP/1.1'));
    await socket.answer();
  }
  expect(front.connections).toBeGreaterThanOrEqual(5);
  await Promise.all(sockets.map((socket) => socket.close()));
  while (front.connections > 0) await new Promise((resolve) => setImmediate(resolve));
});
