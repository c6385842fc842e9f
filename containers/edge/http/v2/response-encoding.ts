import { promisify } from 'node:util';
import { constants, deflate, gzip } from 'node:zlib';

/** Smaller bodies fit one packet with their headers, compressed or not. */
const MIN_BYTES = 1_024;

const ENCODERS = { gzip: promisify(gzip), deflate: promisify(deflate) } as const;

/** How a body may be compressed. */
type Encoding = keyof typeof ENCODERS;

const ENCODINGS: readonly Encoding[] = ['gzip', 'deflate'];

/** How a body is to be compressed where `Accept-Encoding` asks for it and it is worth it; else `undefined`. */
export function encodingFor(body: string | Buffer, acceptEncoding: string | undefined): Encoding | undefined {
  const encoding = acceptEncoding === undefined ? undefined : preferredEncoding(acceptEncoding);
  return encoding === undefined || Buffer.byteLength(body) < MIN_BYTES ? undefined : encoding;
}

/** Compresses a body. */
export function encodeBody(body: string | Buffer, encoding: Encoding): Promise<Buffer> {
  // The fastest level: the next ones cost several times as much for a few per cent of a tensor.
  return ENCODERS[encoding](body, { level: constants.Z_BEST_SPEED });
}

/** The encoding of ours with the highest weight, gzip first among equals; `undefined` when none is wanted. RFC 9110, 12.5.3. */
export function preferredEncoding(acceptEncoding: string): Encoding | undefined {
  const weights = new Map(acceptEncoding.toLowerCase().split(',').map(codingAndWeight));
  const weightOf = (encoding: string): number => weights.get(encoding) ?? 0;
  const [best] = ENCODINGS.toSorted((a, b) => weightOf(b) - weightOf(a));
  if (best === undefined || weightOf(best) === 0) return undefined;
  return weightOf(best) >= weightOf('identity') ? best : undefined;
}

function codingAndWeight(item: string): [string, number] {
  const [coding = '', ...parameters] = item.split(';').map((part) => part.trim());
  const weight = parameters.find((parameter) => parameter.startsWith('q='));
  const value = weight === undefined ? 1 : Number(weight.slice(2));
  return [coding, value >= 0 && value <= 1 ? value : 0];
}
