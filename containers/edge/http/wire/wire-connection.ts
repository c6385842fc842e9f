import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { KnownHeads } from './known-heads';
import { ReceivedRequest } from './received-request';
import { RoutedStream } from './routed-stream';
import type { WireHandler, WireLimits, WireReply } from './types';

/** Larger bodies are streamed to the server; reading one costs so much that what is saved here is small. */
const MAX_BODY_BYTES = 64 * 1024;

const REQUEST_LINE = /^[A-Z]+ \/[\x21-\x7e]* HTTP\/1\.1$/;

/**
 * - `reading`: idle, or part of a request is there.
 * - `answering`: the handler has a request.
 * - `routed`: the server has one request, and this connection reads the next once it is answered.
 * - `handed over`: the server has the connection for good.
 */
type Phase = 'reading' | 'answering' | 'routed' | 'handed over';

/** What a connection belongs to. */
export interface WireHost {
  readonly handler: WireHandler;
  readonly limits: WireLimits;
  readonly heads: KnownHeads;
  /** Whether connections are to close behind the answers still due. */
  readonly stopping: boolean;
  /** The last field lines of an answer behind which the connection stays open, with the empty line. */
  readonly keepAliveLines: string;
  /** Makes the HTTP server read requests from a stream. */
  attach(stream: RoutedStream): void;
  /** Called once, when the connection is closed. */
  closed(connection: WireConnection): void;
}

/**
 * One client's connection. Requests whose framing is beyond doubt are read here, one at a time, and offered to the
 * handler; one that it does not take goes to the HTTP server byte for byte, and everything that is unusual, large or
 * slow makes the server take the connection for good. So nothing is read here that two parsers could read differently.
 */
export class WireConnection implements WireReply {
  readonly #host: WireHost;
  readonly #socket: Socket;
  #phase: Phase = 'reading';
  #stream: RoutedStream | undefined;
  /** The request that is being answered. */
  #request: ReceivedRequest | undefined;
  /** Bytes not taken yet; they begin with a request. */
  #pending: Buffer | undefined;
  /** Bytes that the request at the start of `#pending` has at least. */
  #wanted = 0;
  /** The server's answers in progress on a connection that it has for good. */
  #due = 0;
  #ended = false;
  #advancing = false;
  /** Bytes moved and the time, as of the last check that saw a difference. */
  #moved = 0;
  #movedAt = performance.now();
  #checked: Buffer | undefined;

  constructor(socket: Socket, host: WireHost) {
    this.#socket = socket;
    this.#host = host;
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.on('end', () => this.#end());
    socket.on('error', (error) => this.#stream?.destroy(error));
    socket.on('close', () => this.#close());
  }

  get gone(): boolean {
    return this.#socket.destroyed;
  }

  send(head: string, body: string | Buffer, close = this.#host.stopping): void {
    const socket = this.#socket;
    if (socket.destroyed) return;
    const start = head + (close ? 'connection: close\r\n\r\n' : this.#host.keepAliveLines);
    let flowing: boolean;
    if (typeof body === 'string') {
      flowing = socket.write(start + body, 'latin1');
    } else {
      socket.cork();
      socket.write(start, 'latin1');
      flowing = socket.write(body);
      socket.uncork();
    }
    if (close) socket.destroySoon();
    // A client that does not read gets no further answer, however many requests it has sent ahead.
    else if (flowing) this.#proceed();
    else socket.once('drain', () => this.#proceed());
  }

  pass(notes: unknown): void {
    const request = this.#request;
    if (this.#socket.destroyed || request === undefined) return;
    this.#route(request.whole, notes);
  }

  /** Closes the connection unless a request is being received or answered. */
  closeIfIdle(): void {
    if (this.#isIdle()) this.#socket.destroySoon();
  }

  /** Looks for clients that are too slow; to be called every `checkIntervalMs`. */
  check(now: number): void {
    const moved = this.#socket.bytesRead + this.#socket.bytesWritten - this.#socket.writableLength;
    if (moved !== this.#moved) {
      this.#moved = moved;
      this.#movedAt = now;
    }
    const { keepAliveTimeoutMs, stalledTimeoutMs } = this.#host.limits;
    const still = now - this.#movedAt;
    if (still >= (this.#isIdle() ? keepAliveTimeoutMs : stalledTimeoutMs)) this.#socket.destroy();
    // The server has the deadlines for requests that do not come to an end.
    else if (this.#phase === 'reading' && this.#pending !== undefined && this.#pending === this.#checked)
      this.#handOver();
    this.#checked = this.#pending;
  }

  #isIdle(): boolean {
    if (this.#phase === 'handed over') return this.#due === 0;
    return this.#phase === 'reading' && this.#pending === undefined;
  }

  #read(chunk: Buffer): void {
    if (this.#phase === 'handed over') {
      if (this.#stream?.give(chunk) === false) this.#socket.pause();
      return;
    }
    this.#pending = this.#pending === undefined ? chunk : Buffer.concat([this.#pending, chunk]);
    if (this.#phase === 'reading') this.#advance();
    else if (this.#pending.length > this.#host.limits.headerBytes + MAX_BODY_BYTES) this.#socket.pause();
  }

  #advance(): void {
    this.#advancing = true;
    while (this.#phase === 'reading' && this.#pending !== undefined && this.#pending.length >= this.#wanted) {
      if (!this.#takeRequest(this.#pending)) break;
    }
    this.#advancing = false;
    if (this.#ended && this.#phase === 'reading') this.#endReading();
  }

  /** Takes the request that `pending` begins with; `false` when not all of it is there yet. */
  #takeRequest(pending: Buffer): boolean {
    // Heads are text, and so are small bodies; of a larger one nobody may want to have it as text.
    const text = pending.toString('latin1', 0, this.#host.limits.headerBytes);
    const headEnd = text.indexOf('\r\n\r\n');
    if (headEnd === -1) {
      if (pending.length > this.#host.limits.headerBytes) this.#handOver();
      return false;
    }
    const lineEnd = text.indexOf('\r\n');
    const line = text.slice(0, lineEnd);
    const head = REQUEST_LINE.test(line) ? this.#host.heads.of(text.slice(lineEnd + 2, headEnd)) : undefined;
    const bodyAt = headEnd + 4;
    if (head === undefined || (head.contentLength ?? 0) > MAX_BODY_BYTES) {
      this.#handOver();
      return false;
    }
    const end = bodyAt + (head.contentLength ?? 0);
    if (pending.length < end) {
      this.#wanted = end;
      return false;
    }
    this.#wanted = 0;
    this.#pending = pending.length === end ? undefined : pending.subarray(end);
    this.#phase = 'answering';
    const request = new ReceivedRequest(line, head, pending, text, bodyAt, end);
    this.#request = request;
    if (!this.#host.handler.takes(request, this)) this.#route(request.whole);
    return true;
  }

  /** The last request is answered. */
  #proceed(): void {
    if (this.#socket.destroyed) return;
    this.#phase = 'reading';
    this.#request = undefined;
    if (this.#host.stopping) {
      this.#socket.end();
      return;
    }
    if (this.#socket.isPaused()) this.#socket.resume();
    if (!this.#advancing) this.#advance();
  }

  #route(bytes: Buffer, notes?: unknown): void {
    this.#phase = 'routed';
    const stream = this.#streamToServer();
    stream.notes = notes;
    stream.give(bytes);
  }

  #handOver(): void {
    this.#phase = 'handed over';
    const stream = this.#streamToServer();
    const pending = this.#pending;
    this.#pending = undefined;
    if (pending !== undefined && !stream.give(pending)) this.#socket.pause();
    if (this.#ended) stream.giveEnd();
  }

  #streamToServer(): RoutedStream {
    if (this.#stream !== undefined) return this.#stream;
    const stream = new RoutedStream(this.#socket, (response) => this.#isAnswered(response));
    this.#stream = stream;
    stream.on('wanting', () => {
      if (this.#phase === 'handed over' && this.#socket.isPaused()) this.#socket.resume();
    });
    // What a client does to its connection is no error of the service.
    stream.on('error', () => undefined);
    this.#host.attach(stream);
    return stream;
  }

  /** The server has begun to answer. */
  #isAnswered(response: ServerResponse): void {
    this.#due += 1;
    response.once('close', () => {
      this.#due -= 1;
      if (this.#phase === 'routed') this.#proceed();
      // Node's server closes idle connections when it is told to stop, and those that become idle later only by time.
      else if (this.#host.stopping) this.closeIfIdle();
    });
  }

  /** The client sends no more, but may wait for an answer. */
  #end(): void {
    this.#ended = true;
    if (this.#phase === 'handed over') this.#stream?.giveEnd();
    else if (this.#phase === 'reading') this.#endReading();
  }

  #endReading(): void {
    if (this.#pending === undefined) this.#socket.end();
    else this.#handOver();
  }

  #close(): void {
    this.#stream?.destroy();
    this.#host.closed(this);
  }
}
