import type { RequestHead } from './request-head';

/** A whole request as it came over the wire. */
export interface WireRequest {
  readonly method: string;
  /** Path and query as the client spelled them. */
  readonly target: string;
  readonly head: RequestHead;
  /** The body, a character for every byte; empty without one. */
  readonly body: string;
  /** The same bytes. */
  readonly bytes: Buffer;
  /** `performance.now()` when the whole of it was there. */
  readonly arrived: number;
}

/** The answer to one request that was taken, given once. */
export interface WireReply {
  /** Whether the client has gone. */
  readonly gone: boolean;
  /**
   * Sends an answer. `head` is the status line and the field lines, each ended by CRLF, without the empty line and the
   * fields that belong to the connection (`Connection`, `Keep-Alive`); `body` a buffer, or text with a character for every byte. `close`: nothing more is read from this client.
   */
  send(head: string, body: string | Buffer, close?: boolean): void;
  /** Instead of `send`: leaves the request to the HTTP server after all. `notes` reach it by `notesOf`. */
  pass(notes: unknown): void;
}

/** Answers the requests it can answer completely. */
export interface WireHandler {
  /** Takes the request, or leaves it to the HTTP server and tells so by `false`. */
  takes(request: WireRequest, reply: WireReply): boolean;
}

/** Limits of a connection; see `HttpLimits`. */
export interface WireLimits {
  /** Largest head that is read here, bytes. */
  readonly headerBytes: number;
  readonly headerFields: number;
  readonly checkIntervalMs: number;
  readonly stalledTimeoutMs: number;
  readonly keepAliveTimeoutMs: number;
}
