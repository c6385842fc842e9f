import type { RequestHead } from './request-head';
import type { WireRequest } from './types';

/** A request in the bytes that its connection has received. */
export class ReceivedRequest implements WireRequest {
  readonly method: string;
  readonly target: string;
  readonly head: RequestHead;
  readonly arrived = performance.now();
  readonly #received: Buffer;
  /** The start of `received`, a character for every byte: all of it where that is not long. */
  readonly #text: string;
  readonly #bodyAt: number;
  readonly #end: number;

  /** `line` is the request line; the body lies in `received` from `bodyAt` to `end`. */
  constructor(line: string, head: RequestHead, received: Buffer, text: string, bodyAt: number, end: number) {
    const methodEnd = line.indexOf(' ');
    this.method = line.slice(0, methodEnd);
    this.target = line.slice(methodEnd + 1, line.lastIndexOf(' '));
    this.head = head;
    this.#received = received;
    this.#text = text;
    this.#bodyAt = bodyAt;
    this.#end = end;
  }

  get body(): string {
    if (this.#end <= this.#text.length) return this.#text.slice(this.#bodyAt, this.#end);
    return this.#received.toString('latin1', this.#bodyAt, this.#end);
  }

  /** Head and body. */
  get whole(): Buffer {
    return this.#received.subarray(0, this.#end);
  }

  get bytes(): Buffer {
    return this.#received.subarray(this.#bodyAt, this.#end);
  }
}
