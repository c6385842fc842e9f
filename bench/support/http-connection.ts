import { connect, type Socket } from 'node:net';

/** One answer, as far as a load generator looks at it. */
export interface Answer {
  readonly status: number;
  readonly bytes: number;
  /** Status line and header fields. */
  head(): string;
  body(): string;
}

const HEAD_END = Buffer.from('\r\n\r\n');
const STATUS_AT = 'HTTP/1.1 '.length;

/**
 * A kept-alive HTTP/1.1 connection with one request under way at a time and no more parsing than finding the end of an
 * answer, so that the generator costs much less than what it measures.
 */
export class HttpConnection {
  readonly #socket: Socket;
  #pending: Buffer | undefined;
  #onAnswer: ((answer: Answer) => void) | undefined;

  /** `onBroken` is told once when the connection ends or the peer sends what is no answer with a length. */
  constructor(port: number, onReady: () => void, onBroken: (reason: string) => void) {
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.#socket.once('connect', onReady);
    this.#socket.once('error', (error) => onBroken(error.message));
    this.#socket.once('end', () => onBroken('the server closed a connection'));
    this.#socket.on('data', (chunk) => {
      try {
        this.#take(chunk);
      } catch (error) {
        onBroken(error instanceof Error ? error.message : String(error));
      }
    });
  }

  send(request: Buffer, onAnswer: (answer: Answer) => void): void {
    this.#onAnswer = onAnswer;
    this.#socket.write(request);
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    const bytes = this.#pending === undefined ? chunk : Buffer.concat([this.#pending, chunk]);
    const headEnd = bytes.indexOf(HEAD_END);
    const length = headEnd === -1 ? undefined : headEnd + HEAD_END.length + contentLength(bytes, headEnd);
    if (length === undefined || bytes.length < length) {
      this.#pending = bytes;
      return;
    }
    if (bytes.length > length) throw new Error('the server sent more than one answer');
    this.#pending = undefined;
    const onAnswer = this.#onAnswer;
    this.#onAnswer = undefined;
    onAnswer?.({
      status: Number(bytes.toString('latin1', STATUS_AT, STATUS_AT + 3)),
      bytes: length,
      head: () => bytes.toString('latin1', 0, headEnd),
      body: () => bytes.toString('utf8', headEnd + HEAD_END.length, length),
    });
  }
}

function contentLength(bytes: Buffer, headEnd: number): number {
  const match = /\r\ncontent-length: *(\d+)/i.exec(bytes.toString('latin1', 0, headEnd));
  if (match === null) throw new Error(`an answer without content-length: ${bytes.toString('latin1', 0, headEnd)}`);
  return Number(match[1]);
}
