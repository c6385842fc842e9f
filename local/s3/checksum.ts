import { createHash, type Hash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { type Crc64, crc32c, crc64nvme } from './crc';
import { invalidRequest } from './errors';

/** Checksum algorithms of S3, spelled as in `x-amz-checksum-<algorithm>`. */
export const CHECKSUM_ALGORITHMS = ['crc32', 'crc32c', 'crc64nvme', 'sha1', 'sha256'] as const;
export type ChecksumAlgorithm = (typeof CHECKSUM_ALGORITHMS)[number];

/** Whether a multipart object's checksum covers its bytes or the checksums of its parts. */
export type ChecksumType = 'FULL_OBJECT' | 'COMPOSITE';

/** What S3 computes by itself when the client names no algorithm (since December 2024). */
export const DEFAULT_CHECKSUM_ALGORITHM: ChecksumAlgorithm = 'crc64nvme';

const DIGEST_BYTES: Readonly<Record<ChecksumAlgorithm, number>> = {
  crc32: 4,
  crc32c: 4,
  crc64nvme: 8,
  sha1: 20,
  sha256: 32,
};

/** A checksum in the making. */
export interface Digest {
  update(data: Uint8Array): void;
  /** Big-endian bytes; called once. */
  finish(): Buffer;
}

/** Starts a checksum; `md5` is not one of S3's algorithms but makes the ETag. */
export function createDigest(algorithm: ChecksumAlgorithm | 'md5'): Digest {
  switch (algorithm) {
    case 'crc32':
      return crc32Digest((data, previous) => crc32(data, previous));
    case 'crc32c':
      return crc32Digest(crc32c);
    case 'crc64nvme':
      return crc64Digest();
    default:
      return hashDigest(createHash(algorithm));
  }
}

function crc32Digest(step: (data: Uint8Array, previous: number) => number): Digest {
  let value = 0;
  return {
    update(data) {
      value = step(data, value);
    },
    finish() {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32BE(value >>> 0);
      return bytes;
    },
  };
}

function crc64Digest(): Digest {
  let value: Crc64 = { high: 0, low: 0 };
  return {
    update(data) {
      value = crc64nvme(data, value);
    },
    finish() {
      const bytes = Buffer.alloc(8);
      bytes.writeUInt32BE(value.high, 0);
      bytes.writeUInt32BE(value.low, 4);
      return bytes;
    },
  };
}

function hashDigest(hash: Hash): Digest {
  return {
    update(data) {
      hash.update(data);
    },
    finish: () => hash.digest(),
  };
}

/** Checksum of a multipart object over the checksums of its parts: `base64-<number of parts>`. */
export function compositeChecksum(algorithm: ChecksumAlgorithm, partChecksums: readonly string[]): string {
  const digest = createDigest(algorithm);
  for (const checksum of partChecksums) digest.update(Buffer.from(checksum, 'base64'));
  return `${digest.finish().toString('base64')}-${partChecksums.length}`;
}

/** Header that carries a checksum of this algorithm. */
export function checksumHeader(algorithm: ChecksumAlgorithm): string {
  return `x-amz-checksum-${algorithm}`;
}

/** XML element that carries a checksum of this algorithm, e.g. `ChecksumCRC32C`. */
export function checksumElement(algorithm: ChecksumAlgorithm): string {
  return `Checksum${algorithm.toUpperCase()}`;
}

/** Reads an algorithm's name as clients write it (`CRC32`, `sha256`); refuses any other. */
export function parseChecksumAlgorithm(name: string, source: string): ChecksumAlgorithm {
  const algorithm = CHECKSUM_ALGORITHMS.find((known) => known === name.toLowerCase());
  if (algorithm === undefined) {
    throw invalidRequest(`${source} is "${name}"; it must be one of ${CHECKSUM_ALGORITHMS.join(', ').toUpperCase()}.`);
  }
  return algorithm;
}

/** Refuses a checksum that cannot be one of its algorithm, before it is compared. */
export function requireChecksumShape(algorithm: ChecksumAlgorithm, value: string): void {
  const decoded = Buffer.from(value, 'base64');
  if (decoded.length !== DIGEST_BYTES[algorithm] || decoded.toString('base64') !== value) {
    throw invalidRequest(`Value for ${checksumHeader(algorithm)} header is invalid.`);
  }
}
