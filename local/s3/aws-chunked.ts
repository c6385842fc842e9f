import { S3Error } from './errors';

/** Longest line between the chunks; more than a size or a checksum needs. */
const MAX_LINE_BYTES = 1024;

/**
 * Takes the content coding `aws-chunked` off a body whose chunks are unsigned: `<hex size>\r\n<data>\r\n`, a chunk of
 * size 0, then trailing headers and an empty line. Trailers are put into `trailers`, names in lower case.
 * Source: Amazon S3 API Reference, "Signature calculations ... including trailing headers (chunked upload)".
 */
export async function* decodeAwsChunked(
  source: AsyncIterable<Buffer>,
  trailers: Map<string, string>,
): AsyncGenerator<Buffer> {
  const reader = new ByteReader(source);
  for (;;) {
    const size = parseChunkSize(await reader.line());
    if (size === 0) break;
    yield* reader.bytes(size);
    if ((await reader.line()) !== '') throw incomplete('a chunk is longer than its size says');
  }
  for (let line = await reader.lineOrEnd(); line !== undefined && line !== ''; line = await reader.lineOrEnd()) {
    const colon = line.indexOf(':');
    if (colon < 0) throw incomplete(`the trailer "${line}" has no colon`);
    trailers.set(line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim());
  }
}

function parseChunkSize(line: string): number {
  if (!/^[0-9a-f]{1,8}$/i.test(line)) throw incomplete(`"${line}" is no chunk size`);
  return Number.parseInt(line, 16);
}

function incomplete(reason: string): S3Error {
  return new S3Error('IncompleteBody', 400, `The request body terminated unexpectedly: ${reason}.`);
}

/** Reads lines and runs of bytes from pieces of any size. */
class ByteReader {
  private readonly pieces: AsyncIterator<Buffer>;
  private rest: Buffer = Buffer.alloc(0);

  constructor(source: AsyncIterable<Buffer>) {
    this.pieces = source[Symbol.asyncIterator]();
  }

  async line(): Promise<string> {
    const line = await this.lineOrEnd();
    if (line === undefined) throw incomplete('it ends before its last chunk');
    return line;
  }

  /** The next line without its end, `undefined` when the body is over. */
  async lineOrEnd(): Promise<string | undefined> {
    let end = this.rest.indexOf('\r\n');
    while (end < 0) {
      if (this.rest.length > MAX_LINE_BYTES) throw incomplete('a line between two chunks has no end');
      const more = await this.nextPiece();
      if (more === undefined) {
        if (this.rest.length > 0) throw incomplete('its last line has no end');
        return undefined;
      }
      this.rest = Buffer.concat([this.rest, more]);
      end = this.rest.indexOf('\r\n');
    }
    const line = this.rest.toString('latin1', 0, end);
    this.rest = this.rest.subarray(end + 2);
    return line;
  }

  async *bytes(count: number): AsyncGenerator<Buffer> {
    let missing = count;
    while (missing > 0) {
      if (this.rest.length === 0) {
        const more = await this.nextPiece();
        if (more === undefined) throw incomplete(`${missing} bytes of a chunk are missing`);
        this.rest = more;
      }
      const taken = this.rest.subarray(0, missing);
      this.rest = this.rest.subarray(taken.length);
      missing -= taken.length;
      yield taken;
    }
  }

  private async nextPiece(): Promise<Buffer | undefined> {
    const next = await this.pieces.next();
    return next.done ? undefined : next.value;
  }
}
