import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

type WriteCallback = (error?: Error | null) => void;

/**
 * A client's connection as the HTTP server sees it: the bytes that are given to it, and a way back to the client. Node's
 * server takes any duplex stream for a connection.
 */
export class RoutedStream extends Duplex {
  /** To be called with every response that the server begins on this connection. */
  readonly onAnswer: (response: ServerResponse) => void;
  /** What has been found out about the request that the server has, by whoever had it first. */
  notes: unknown;
  readonly #socket: Socket;

  constructor(socket: Socket, onAnswer: (response: ServerResponse) => void) {
    super({ allowHalfOpen: true, decodeStrings: false });
    this.#socket = socket;
    this.onAnswer = onAnswer;
  }

  get remoteAddress(): string | undefined {
    return this.#socket.remoteAddress;
  }

  get remotePort(): number | undefined {
    return this.#socket.remotePort;
  }

  /** Gives bytes of the client to the server; `false` when it should be given no more for now. */
  give(bytes: Buffer): boolean {
    return this.push(bytes);
  }

  /** The client sends no more. */
  giveEnd(): void {
    this.push(null);
  }

  /** Ends the connection once what has been written is sent; Node's server asks for this where it is there. */
  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once('finish', () => this.destroy());
  }

  override _read(): void {
    this.emit('wanting');
  }

  override _write(chunk: Buffer | string, encoding: BufferEncoding, done: WriteCallback): void {
    this.#socket.write(chunk, encoding, done);
  }

  override _writev(chunks: { chunk: Buffer | string; encoding: BufferEncoding }[], done: WriteCallback): void {
    this.#socket.cork();
    const last = chunks.length - 1;
    for (const [i, { chunk, encoding }] of chunks.entries()) {
      if (i === last) this.#socket.write(chunk, encoding, done);
      else this.#socket.write(chunk, encoding);
    }
    this.#socket.uncork();
  }

  override _final(done: WriteCallback): void {
    this.#socket.end(() => done());
  }

  override _destroy(error: Error | null, done: WriteCallback): void {
    // What has been written is sent before the connection closes; an error cuts it off.
    if (error === null) this.#socket.destroySoon();
    else this.#socket.destroy();
    done(error);
  }
}

/** What was noted of a request before it was left to the server; `undefined` where nothing was. */
export function notesOf(request: IncomingMessage): unknown {
  const stream: object = request.socket;
  return stream instanceof RoutedStream ? stream.notes : undefined;
}
