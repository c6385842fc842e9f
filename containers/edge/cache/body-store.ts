import { mkdir } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import type { Logger } from '../control/types';
import { claimDirectory } from './directory-claim';
import type { DiskHealthOptions } from './disk-health';
import { FileBodyStore } from './file-body-store';
import type { StoreUsage } from './types';

/**
 * Large bodies on disk, beside the entry log: one file each, named by the SHA-256 of its content, streamed in and out,
 * never whole in memory. A body that is stored twice is one file. Bounded in bytes by SIEVE; a body that is being read
 * is not given up. Nothing is flushed to the platter: after a crash of the process every body is whole or absent, and
 * after a crash of the machine the sums tell.
 */
export interface BodyStore {
  /**
   * Starts a body. Rejects when the disk refuses (full, read-only, or left alone after it did) or the body is larger
   * than the store may hold. With `expectedBytes` room is made at once, without it as the body grows.
   */
  create(expectedBytes?: number): Promise<BodyWriter>;
  /**
   * Opens a finished body; undefined when it is not here any more. `id` is what commit gave. Rejects when the disk does
   * not answer in time, and at once while it is left alone for that.
   */
  open(id: string): Promise<StoredBody | undefined>;
  /**
   * Says that one user needs the body no more: it is the next to be evicted. Others may have stored the same content,
   * so it stays readable until its room is needed.
   */
  delete(id: string): Promise<void>;
  usage(): StoreUsage;
  /** False while the disk refuses writes, finished bodies can still be read then, or does not answer. */
  healthy(): boolean;
  /** Gives up bodies that are still growing. Finished bodies that are open can be read to their end. */
  close(): Promise<void>;
}

/** A body on its way in. */
export interface BodyWriter {
  /** Bytes written so far that readers may read. */
  readonly bytes: number;
  /** Appends; resolves when readers can see it (so awaiting it is back-pressure). */
  write(chunk: Buffer): Promise<void>;
  /** Makes the body whole and findable. Returns its id. */
  commit(): Promise<string>;
  /** Gives up; readers of the growing body get an error. */
  abort(reason: Error): Promise<void>;
  /**
   * Reads the growing body from `start` as it is written, until committed (or through `endExclusive`), and the finished
   * one after that; any number of readers, each at its own pace; a destroyed reader affects nobody else. When the body
   * fails, readers get what was written before they get the error.
   */
  read(start?: number, endExclusive?: number): Readable;
}

/** A finished body. It is kept on the disk until it is closed and its streams have ended. */
export interface StoredBody {
  readonly bytes: number;
  /** Streams a range; a block whose sum does not hold destroys the stream with an error, the body is dropped and counted corrupt. */
  read(start?: number, endExclusive?: number): Readable;
  close(): Promise<void>;
}

/** Deviations for tests. */
export type BodyStoreOptions = DiskHealthOptions;

/**
 * Opens a body store in a directory of its own. Does not wait for the bodies of the process before to be counted: they
 * can be opened at once, and until they are counted the bound may be passed by what is written meanwhile. Rejects when
 * the directory cannot be used, or another process uses it.
 */
export async function openBodyStore(
  directory: string,
  maxBytes: number,
  log: Logger,
  options: BodyStoreOptions = {},
): Promise<BodyStore> {
  await mkdir(directory, { recursive: true });
  const release = await claimDirectory(directory);
  return new FileBodyStore(directory, maxBytes, release, log, options);
}
