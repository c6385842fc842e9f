import { readSync, writeSync } from 'node:fs';

/*
 * Messages between the service and one worker, over a pair of sockets. A frame is 16 bytes (u32 kind, u32 number of the
 * session that it is about, f64 length of the payload) and the payload. The service asks, the worker answers in order;
 * only `release` has no answer.
 */

/** What a frame is; the payload's form is behind each. */
export const FrameKind = {
  /** Worker: it can take requests. Nothing. */
  ready: 1,
  /** Service: load a model. JSON `OpenRequest`. */
  open: 2,
  /** Worker: it is loaded. JSON `Signature`. */
  opened: 3,
  /** Service: run a model. Tensors. */
  run: 4,
  /**
   * Worker: it ran. f64 milliseconds inside ONNX Runtime, of CPU time, and to take the outputs, of repeated runs all of
   * them together; f64 number of repeated runs and f64 milliseconds of each; the tensors of the last.
   */
  done: 5,
  /** Worker: the request failed. JSON `Failure`. */
  failed: 6,
  /** Service: free a model. Nothing. */
  release: 7,
  /** Service: run a model again and again. f64 runs at most, f64 milliseconds after which none begins, tensors. */
  repeat: 8,
} as const;
export type FrameKind = (typeof FrameKind)[keyof typeof FrameKind];

/** Bytes at the start of what `FrameKind.done` tells, before the times of repeated runs. */
export const DONE_BYTES = 32;
/** Bytes at the start of what `FrameKind.repeat` asks. */
export const REPEAT_BYTES = 16;

export interface Frame {
  readonly kind: number;
  readonly session: number;
  /** Begins at the start of its own memory, so that views at multiples of 8 are aligned. */
  readonly payload: Buffer;
}

const PREFIX_BYTES = 16;
const MAX_PAYLOAD_BYTES = 2 ** 32 - 1;
/** Up to here one buffer is cheaper to write than several, bytes. */
const JOINED_BYTES = 32 * 1024;

/** The buffers to write for a frame, one after the other. */
export function encodeFrame(kind: FrameKind, session: number, payload: readonly Uint8Array[]): Uint8Array[] {
  const length = payload.reduce((sum, piece) => sum + piece.byteLength, 0);
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32LE(kind, 0);
  prefix.writeUInt32LE(session, 4);
  prefix.writeDoubleLE(length, 8);
  const pieces = [prefix, ...payload];
  return length <= JOINED_BYTES ? [Buffer.concat(pieces, PREFIX_BYTES + length)] : pieces;
}

/** Puts frames together from the chunks of a stream. */
export class FrameReader {
  readonly #onFrame: (frame: Frame) => void;
  readonly #prefix = Buffer.alloc(PREFIX_BYTES);
  /** Absent while the prefix is being read. */
  #payload: Buffer | undefined;
  /** Bytes of the prefix or payload that are here. */
  #filled = 0;

  constructor(onFrame: (frame: Frame) => void) {
    this.#onFrame = onFrame;
  }

  /** Takes the next bytes of the stream. Throws when they are no frame. */
  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      at += this.#fill(this.#payload ?? this.#prefix, chunk, at);
      if (this.#payload === undefined && this.#filled === PREFIX_BYTES) {
        this.#payload = payloadFor(this.#prefix);
        this.#filled = 0;
      }
      if (this.#payload?.length === this.#filled) this.#finish(this.#payload);
    }
  }

  #fill(part: Buffer, chunk: Buffer, from: number): number {
    const copied = chunk.copy(part, this.#filled, from);
    this.#filled += copied;
    return copied;
  }

  #finish(payload: Buffer): void {
    this.#payload = undefined;
    this.#filled = 0;
    this.#onFrame(frameOf(this.#prefix, payload));
  }
}

/** Reads one frame from a blocking descriptor; `undefined` once the other side has closed. */
export function readFrame(descriptor: number): Frame | undefined {
  const prefix = Buffer.alloc(PREFIX_BYTES);
  if (!readFully(descriptor, prefix)) return undefined;
  const payload = payloadFor(prefix);
  return readFully(descriptor, payload) ? frameOf(prefix, payload) : undefined;
}

/** Writes buffers to a blocking descriptor. Throws (EPIPE) once the other side has closed. */
export function writePieces(descriptor: number, pieces: readonly Uint8Array[]): void {
  for (const piece of pieces) {
    let written = 0;
    while (written < piece.byteLength) written += writeSync(descriptor, piece, written);
  }
}

function readFully(descriptor: number, into: Buffer): boolean {
  let filled = 0;
  while (filled < into.length) {
    const read = readSync(descriptor, into, filled, into.length - filled, null);
    if (read === 0) return false;
    filled += read;
  }
  return true;
}

function frameOf(prefix: Buffer, payload: Buffer): Frame {
  return { kind: prefix.readUInt32LE(0), session: prefix.readUInt32LE(4), payload };
}

function payloadFor(prefix: Buffer): Buffer {
  const length = prefix.readDoubleLE(8);
  if (!Number.isSafeInteger(length) || length < 0 || length > MAX_PAYLOAD_BYTES) {
    throw new Error(`the other process wrote something that is no frame (length ${length})`);
  }
  // Not from the shared pool, whose slices begin anywhere.
  return Buffer.allocUnsafeSlow(length);
}
