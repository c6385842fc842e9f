import { isAscii, isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { gunzip, inflate } from 'node:zlib';
import { invalidField, messageOf, ServiceError } from '../../errors';
import { parseJson } from '../json-body';
import { quoteLongIntegers } from './exact-integers';

/** Request and response header: bytes of the JSON before binary tensor data. */
export const HEADER_LENGTH_HEADER = 'inference-header-content-length';

/** Typed arrays of 8-byte elements need their bytes at a multiple of this. */
const ALIGNMENT = 8;

/** The body of an inference request: JSON, then binary tensor data. */
export class InferBody {
  /** The JSON; `undefined` in a raw request, which has none. */
  readonly text: string | undefined;
  /** What follows the JSON. */
  readonly binary: Buffer;

  constructor(text: string | undefined, binary: Buffer) {
    this.text = text;
    this.binary = binary;
  }

  /** The parsed JSON; `undefined` without any. Throws a ServiceError. */
  json(): unknown {
    return this.text === undefined ? undefined : parseJson(this.text);
  }

  /** The same, integers that `JSON.parse` may have rounded being decimal strings. */
  exactJson(): unknown {
    return this.text === undefined ? undefined : parseJson(quoteLongIntegers(this.text));
  }
}

const DECODERS: ReadonlyMap<string, (body: Buffer, options: { maxOutputLength: number }) => Promise<Buffer>> = new Map([
  ['gzip', promisify(gunzip)],
  ['x-gzip', promisify(gunzip)],
  ['deflate', promisify(inflate)],
]);

/**
 * Reads a request's body, decoded if it is compressed. Rejects with a ServiceError when it has more than `limit` bytes,
 * before or after decoding, or its encoding is none of gzip and deflate.
 */
export async function readBody(request: IncomingMessage, payload: Readable, limit: number): Promise<Buffer> {
  const encoding = request.headers['content-encoding']?.trim().toLowerCase() ?? 'identity';
  const decode = DECODERS.get(encoding);
  if (decode === undefined && encoding !== 'identity') {
    throw new ServiceError('unsupported_encoding', `content-encoding must be gzip or deflate, got ${encoding}`);
  }
  const declared = Number(request.headers['content-length'] ?? Number.NaN);
  if (declared > limit) throw tooLarge(limit);
  // The JSON's length is where the elements begin: placed so that they are aligned, they are read without another copy.
  const aligned = decode === undefined ? Number(request.headers[HEADER_LENGTH_HEADER] ?? 0) : 0;
  const body = await collect(payload, limit, declared, aligned);
  return decode === undefined ? body : decoded(decode(body, { maxOutputLength: limit }), encoding, limit);
}

function collect(payload: Readable, limit: number, declared: number, aligned: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const onData = (chunk: Buffer): void => {
      bytes += chunk.length;
      if (bytes <= limit) {
        chunks.push(chunk);
        return;
      }
      payload.off('data', onData);
      payload.resume();
      reject(tooLarge(limit));
    };
    payload.on('data', onData);
    payload.once('error', reject);
    payload.once('end', () => resolve(joined(chunks, bytes, aligned)));
    payload.once('close', () => reject(new ServiceError('invalid_request', `the body ended before ${declared} bytes`)));
  });
}

function joined(chunks: readonly Buffer[], bytes: number, aligned: number): Buffer {
  const [first] = chunks;
  if (chunks.length === 1 && first !== undefined) return first;
  const offset = Number.isSafeInteger(aligned) ? (ALIGNMENT - (aligned % ALIGNMENT)) % ALIGNMENT : 0;
  const body = Buffer.from(new ArrayBuffer(offset + bytes), offset, bytes);
  let at = 0;
  for (const chunk of chunks) at += chunk.copy(body, at);
  return body;
}

async function decoded(decoding: Promise<Buffer>, encoding: string, limit: number): Promise<Buffer> {
  try {
    return await decoding;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(limit);
    throw new ServiceError('invalid_request', `the body must be ${encoding}: ${messageOf(error)}`);
  }
}

function tooLarge(limit: number): ServiceError {
  return new ServiceError('body_too_large', `the body must be at most ${limit} bytes`);
}

/**
 * Splits a body into JSON and binary tensor data at the length that the header gives; without the header all of it is
 * JSON, with 0 none of it. Throws a ServiceError when the length is wrong or the JSON no UTF-8.
 */
export function splitBody(body: Buffer, headerLength: string | string[] | undefined): InferBody {
  const end = headerLength === undefined ? body.length : jsonLength(headerLength, body.length);
  const binary = body.subarray(end);
  return new InferBody(end === 0 && headerLength !== undefined ? undefined : jsonText(body.subarray(0, end)), binary);
}

function jsonLength(value: string | string[], bodyLength: number): number {
  const length = typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
  if (length <= bodyLength) return length;
  throw invalidField(`header ${HEADER_LENGTH_HEADER}`, `an integer from 0 to ${bodyLength} (bytes of the body)`, value);
}

function jsonText(bytes: Buffer): string {
  // The quicker way for most bodies: one byte a character, nothing to decode.
  if (isAscii(bytes)) return bytes.toString('latin1');
  if (!isUtf8(bytes)) throw new ServiceError('invalid_json', 'the body must be JSON in UTF-8');
  return bytes.toString('utf8');
}
