import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** An answer as it came over the connection; header names in lower case. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** A connection on which a test writes what no HTTP client would. */
export interface RawSocket {
  write(bytes: string | Buffer): void;
  /** Resolves when what was written has left, as a packet of its own. */
  flushed(): Promise<void>;
  /** The next answer. Rejects when the server closes the connection before it is complete. */
  answer(method?: string): Promise<RawAnswer>;
  /** Resolves when the server has closed the connection. */
  closed(): Promise<void>;
  /** Stops taking what the server sends. */
  stopReading(): void;
  close(): Promise<void>;
}

/** Connects to the host of a URL. */
export async function rawSocket(url: string): Promise<RawSocket> {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), noDelay: true });
  await once(socket, 'connect');
  return new TestSocket(socket);
}

/** One request on a connection of its own. */
export async function rawRequest(
  url: string,
  request: { method: string; path: string; headers?: Record<string, string>; body?: string | Buffer },
): Promise<RawAnswer> {
  const { method, path, headers = {}, body } = request;
  const fields: Record<string, string> = { host: 'x', ...headers };
  if (body !== undefined) fields['content-length'] = String(Buffer.byteLength(body));
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  const socket = await rawSocket(url);
  const head = Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`);
  socket.write(Buffer.concat([head, Buffer.from(body ?? '')]));
  const answer = await socket.answer(method);
  await socket.close();
  return answer;
}

class TestSocket implements RawSocket {
  readonly #socket: Socket;
  #received = Buffer.alloc(0);
  #ended = false;
  #wake: () => void = () => undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#wake();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#ended = true;
      this.#wake();
    });
  }

  write(bytes: string | Buffer): void {
    this.#socket.write(bytes);
  }

  async flushed(): Promise<void> {
    await new Promise<void>((resolve) => this.#socket.write('', () => setImmediate(resolve)));
  }

  async answer(method = 'GET'): Promise<RawAnswer> {
    for (;;) {
      const answer = this.#takeAnswer(method);
      if (answer !== undefined) return answer;
      if (this.#ended) throw new Error(`closed after ${JSON.stringify(this.#received.toString())}`);
      await this.#more();
    }
  }

  async closed(): Promise<void> {
    while (!this.#ended) await this.#more();
  }

  stopReading(): void {
    this.#socket.pause();
  }

  async close(): Promise<void> {
    this.#socket.destroy();
    await this.closed();
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #takeAnswer(method: string): RawAnswer | undefined {
    const end = this.#received.indexOf('\r\n\r\n');
    if (end === -1) return undefined;
    const [statusLine = '', ...lines] = this.#received.subarray(0, end).toString('latin1').split('\r\n');
    const headers = Object.fromEntries(
      lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
    );
    const start = end + 4;
    const length = method === 'HEAD' ? 0 : Number(headers['content-length']);
    if (this.#received.length < start + length) return undefined;
    const body = this.#received.subarray(start, start + length).toString();
    this.#received = this.#received.subarray(start + length);
    return { status: Number(statusLine.split(' ')[1]), headers, body };
  }
}
