import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { decodeAwsChunked } from './aws-chunked';
import {
  CHECKSUM_ALGORITHMS,
  type ChecksumAlgorithm,
  checksumHeader,
  createDigest,
  DEFAULT_CHECKSUM_ALGORITHM,
  requireChecksumShape,
} from './checksum';
import { badDigest, invalidRequest, notImplemented, S3Error } from './errors';
import { header, type S3Request } from './request';

/** What is known of a body once every byte of it has been seen and verified. */
export interface Payload {
  /** Bytes, without the framing of `aws-chunked`. */
  readonly size: number;
  /** 16 bytes; its hex is the ETag of an object that was not uploaded in parts. */
  readonly md5: Buffer;
  readonly checksum: PayloadChecksum;
}

export interface PayloadChecksum {
  readonly algorithm: ChecksumAlgorithm;
  /** Base64. */
  readonly value: string;
  /** Whether the client named the algorithm; otherwise it is S3's own choice. */
  readonly requested: boolean;
}

/** What the client announced about the body. */
interface Announcement {
  readonly size: number;
  readonly chunked: boolean;
  readonly md5: string | undefined;
  readonly sha256: string | undefined;
  readonly algorithm: ChecksumAlgorithm | undefined;
  /** `undefined` when the checksum comes as a trailer. */
  readonly checksum: string | undefined;
}

/**
 * Passes a request's body to `write`, piece by piece, and verifies it against everything the client announced: length,
 * Content-MD5, x-amz-content-sha256 and x-amz-checksum-* as header or trailer.
 * @throws S3Error BadDigest, IncompleteBody, XAmzContentSHA256Mismatch, InvalidDigest, InvalidRequest, MissingContentLength
 */
export async function receivePayload(
  request: S3Request,
  write: (data: Buffer) => Promise<void> | void,
): Promise<Payload> {
  const announced = readAnnouncement(request.headers);
  const algorithm = announced.algorithm ?? DEFAULT_CHECKSUM_ALGORITHM;
  const trailers = new Map<string, string>();
  const checksum = createDigest(algorithm);
  const md5 = createDigest('md5');
  const sha256 = createHash('sha256');
  let size = 0;
  // The iterator leaves the request open on an error: destroying it would cut the connection before the answer is sent.
  const raw: AsyncIterable<Buffer> = request.body.iterator({ destroyOnReturn: false });
  for await (const data of announced.chunked ? decodeAwsChunked(raw, trailers) : raw) {
    checksum.update(data);
    md5.update(data);
    if (announced.sha256 !== undefined) sha256.update(data);
    size += data.length;
    await write(data);
  }
  const payload: Payload = {
    size,
    md5: md5.finish(),
    checksum: {
      algorithm,
      value: checksum.finish().toString('base64'),
      requested: announced.algorithm !== undefined,
    },
  };
  verify(payload, announced, trailers, announced.sha256 === undefined ? undefined : sha256.digest('hex'));
  return payload;
}

/** Reads a small body, such as an XML document, into memory, verified as `receivePayload` does. */
export async function receiveText(request: S3Request, maxBytes: number): Promise<string> {
  const pieces: Buffer[] = [];
  let size = 0;
  await receivePayload(request, (data) => {
    size += data.length;
    if (size > maxBytes) {
      throw new S3Error('EntityTooLarge', 400, `Your request document is larger than ${maxBytes} bytes.`);
    }
    pieces.push(data);
  });
  return Buffer.concat(pieces).toString('utf8');
}

/** The checksum algorithm that a request's headers name, if any. */
export function requestedAlgorithm(headers: IncomingHttpHeaders): ChecksumAlgorithm | undefined {
  return readChecksum(headers).algorithm;
}

function readAnnouncement(headers: IncomingHttpHeaders): Announcement {
  const contentSha256 = header(headers, 'x-amz-content-sha256');
  const chunked = isAwsChunked(headers, contentSha256);
  const length = header(headers, chunked ? 'x-amz-decoded-content-length' : 'content-length');
  if (length === undefined || !/^\d+$/.test(length)) {
    throw new S3Error('MissingContentLength', 411, 'You must provide the Content-Length HTTP header.');
  }
  return {
    size: Number(length),
    chunked,
    md5: readContentMd5(headers),
    sha256: contentSha256 !== undefined && /^[0-9a-f]{64}$/.test(contentSha256) ? contentSha256 : undefined,
    ...readChecksum(headers),
  };
}

function isAwsChunked(headers: IncomingHttpHeaders, contentSha256: string | undefined): boolean {
  if (contentSha256?.startsWith('STREAMING-AWS4-')) {
    throw notImplemented(`the signed chunks of x-amz-content-sha256 ${contentSha256}`);
  }
  return (
    contentSha256 === 'STREAMING-UNSIGNED-PAYLOAD-TRAILER' ||
    (header(headers, 'content-encoding') ?? '').split(/\s*,\s*/).includes('aws-chunked')
  );
}

function readContentMd5(headers: IncomingHttpHeaders): string | undefined {
  const md5 = header(headers, 'content-md5');
  if (md5 !== undefined && Buffer.from(md5, 'base64').length !== 16) {
    throw new S3Error('InvalidDigest', 400, 'The Content-MD5 you specified was invalid.', { 'Content-MD5': md5 });
  }
  return md5;
}

function readChecksum(headers: IncomingHttpHeaders): Pick<Announcement, 'algorithm' | 'checksum'> {
  const inHeaders = CHECKSUM_ALGORITHMS.filter((algorithm) => headers[checksumHeader(algorithm)] !== undefined);
  const trailerNames = (header(headers, 'x-amz-trailer') ?? '').toLowerCase().split(/\s*,\s*/);
  const inTrailers = CHECKSUM_ALGORITHMS.filter((algorithm) => trailerNames.includes(checksumHeader(algorithm)));
  const [algorithm, ...more] = [...inHeaders, ...inTrailers];
  if (more.length > 0) {
    throw invalidRequest('Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.');
  }
  if (algorithm === undefined) return { algorithm, checksum: undefined };
  const checksum = header(headers, checksumHeader(algorithm));
  if (checksum !== undefined) requireChecksumShape(algorithm, checksum);
  return { algorithm, checksum };
}

function verify(
  payload: Payload,
  announced: Announcement,
  trailers: ReadonlyMap<string, string>,
  sha256: string | undefined,
): void {
  if (payload.size !== announced.size) {
    throw new S3Error(
      'IncompleteBody',
      400,
      `The request announced ${announced.size} bytes and brought ${payload.size}.`,
    );
  }
  if (announced.md5 !== undefined && announced.md5 !== payload.md5.toString('base64')) {
    throw badDigest('The Content-MD5 you specified did not match what we received.');
  }
  if (sha256 !== announced.sha256) {
    throw new S3Error(
      'XAmzContentSHA256Mismatch',
      400,
      "The provided 'x-amz-content-sha256' header does not match what was computed.",
    );
  }
  if (announced.algorithm !== undefined) verifyChecksum(payload.checksum, announced.checksum, trailers);
}

function verifyChecksum(
  computed: PayloadChecksum,
  inHeader: string | undefined,
  trailers: ReadonlyMap<string, string>,
): void {
  const name = checksumHeader(computed.algorithm);
  const expected = inHeader ?? trailers.get(name);
  if (expected === undefined) {
    throw new S3Error('MalformedTrailerError', 400, `x-amz-trailer announces ${name}, but the body ends without it.`);
  }
  requireChecksumShape(computed.algorithm, expected);
  if (expected !== computed.value) {
    throw badDigest(`The ${computed.algorithm.toUpperCase()} you specified did not match the calculated checksum.`);
  }
}
