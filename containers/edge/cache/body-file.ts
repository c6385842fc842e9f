import type { FileHandle } from 'node:fs/promises';
import { crc32 } from 'node:zlib';

/**
 * A body file is the body, one CRC-32 for each block of it, and a footer: bytes u64, CRC-32 u32 over id, sums and
 * bytes, magic. All in one file, so that one rename makes body and sums appear together.
 */
const MAGIC = Buffer.from('mlb1');
const FOOTER_BYTES = 8 + 4 + MAGIC.length;
const SUM_BYTES = 4;

/** What is read and checked at once; the memory that a reader of a finished body takes is about twice this. */
export const BLOCK_BYTES = 256 * 1024;

/** What a body file says of its body. */
export interface BodyLayout {
  readonly bytes: number;
  /** CRC-32 of each block. */
  readonly sums: readonly number[];
}

/** Bytes on disk of a body of `bytes` bytes. */
export function fileBytes(bytes: number): number {
  return bytes + Math.ceil(bytes / BLOCK_BYTES) * SUM_BYTES + FOOTER_BYTES;
}

/** CRC-32 of every block of a body that passes by in chunks of any size. */
export class BlockSums {
  readonly #finished: number[] = [];
  #current = 0;
  #inCurrent = 0;

  update(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; ) {
      const part = chunk.subarray(at, at + BLOCK_BYTES - this.#inCurrent);
      this.#current = crc32(part, this.#current);
      this.#inCurrent += part.length;
      at += part.length;
      if (this.#inCurrent === BLOCK_BYTES) this.#finishBlock();
    }
  }

  /** What follows the body in the file of this id. */
  trailer(id: string): Buffer {
    const sums = this.#inCurrent > 0 ? [...this.#finished, this.#current] : this.#finished;
    const trailer = Buffer.allocUnsafe(sums.length * SUM_BYTES + FOOTER_BYTES);
    let at = 0;
    for (const sum of sums) at = trailer.writeUInt32LE(sum, at);
    at = trailer.writeBigUInt64LE(BigInt(this.#finished.length * BLOCK_BYTES + this.#inCurrent), at);
    at = trailer.writeUInt32LE(crc32(trailer.subarray(0, at), crc32(id)), at);
    MAGIC.copy(trailer, at);
    return trailer;
  }

  #finishBlock(): void {
    this.#finished.push(this.#current);
    this.#current = 0;
    this.#inCurrent = 0;
  }
}

/** Reads what follows the body; `undefined` when the file is not the whole, undamaged file of this id. */
export async function readLayout(file: FileHandle, id: string): Promise<BodyLayout | undefined> {
  const { size } = await file.stat();
  const footer = await readExactly(file, size - FOOTER_BYTES, FOOTER_BYTES);
  if (!footer?.subarray(-MAGIC.length).equals(MAGIC)) return undefined;
  const bytes = Number(footer.readBigUInt64LE(0));
  if (fileBytes(bytes) !== size) return undefined;

  const trailer = await readExactly(file, bytes, size - bytes);
  if (!trailer) return undefined;
  const checked = trailer.subarray(0, trailer.length - SUM_BYTES - MAGIC.length);
  if (trailer.readUInt32LE(checked.length) !== crc32(checked, crc32(id))) return undefined;
  const sums = Array.from({ length: Math.ceil(bytes / BLOCK_BYTES) }, (_, i) => trailer.readUInt32LE(i * SUM_BYTES));
  return { bytes, sums };
}

/** Reads block number `block`; `undefined` when it is not what was written. */
export async function readBlock(file: FileHandle, layout: BodyLayout, block: number): Promise<Buffer | undefined> {
  const start = block * BLOCK_BYTES;
  const bytes = await readExactly(file, start, Math.min(BLOCK_BYTES, layout.bytes - start));
  return bytes && crc32(bytes) === layout.sums[block] ? bytes : undefined;
}

/** Writes all of `bytes`: a disk that is nearly full takes part of a write before it refuses the rest. */
export async function writeFully(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    done += (await file.write(bytes, done, bytes.length - done, position + done)).bytesWritten;
  }
}

/** `undefined` when the file ends before. */
async function readExactly(file: FileHandle, position: number, length: number): Promise<Buffer | undefined> {
  if (position < 0) return undefined;
  const bytes = Buffer.allocUnsafe(length);
  for (let done = 0; done < length; ) {
    const { bytesRead } = await file.read(bytes, done, length - done, position + done);
    if (bytesRead === 0) return undefined;
    done += bytesRead;
  }
  return bytes;
}
