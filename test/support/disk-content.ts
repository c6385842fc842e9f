import { createHash } from 'node:crypto';
import type { CacheEntry } from '../../containers/edge/cache/types';

/** An entry whose every field follows from its key and `mark`, which it carries as its tag. */
export function entryContent(key: string, mark: string): CacheEntry {
  const hash = createHash('sha256').update(`${key} ${mark}`).digest();
  const body = Buffer.alloc(50 + (hash.readUInt16LE(0) % 4000), hash);
  return {
    key,
    body,
    tags: [mark],
    stamp: { epoch: mark, seq: hash.readUInt32LE(4) },
    // In the future, so that no clock takes part.
    storedAt: 4_000_000_000_000 + hash.readUInt16LE(8),
    ttlMs: 1000,
    staleWhileRevalidateMs: 10,
    staleIfErrorMs: 20,
  };
}

/** Up to 1 MB that follow from a seed. */
export function bodyOf(seed: string): Buffer {
  const hash = createHash('sha256').update(seed).digest();
  return Buffer.alloc(100_000 + (hash.readUInt32LE(0) % 900_000), Buffer.concat([hash, Buffer.from('x')]));
}
