import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { BlockSums, writeFully } from './body-file';
import type { BodyWriter, StoredBody } from './body-store';
import { checkRange, PulledStream, SharedFile } from './pulled-stream';

/** What a reader of a growing body takes from the disk at once. */
const READ_BYTES = 64 * 1024;

/** What the store does for a body that is being written. */
export interface GrowingBodyHost {
  /** Makes room for the body to have `bytes` bytes. Rejects when there is none. */
  makeRoom(bytes: number): Promise<void>;
  /** Runs a write of the body's file, making room when the disk is full. */
  write(bytes: number, write: () => Promise<void>): Promise<void>;
  /** Runs a read of the body's file. Rejects when the disk does not answer in time. */
  read<T>(read: () => Promise<T>): Promise<T>;
  /** The file is whole: keep it under this id. */
  keep(id: string, bytes: number): Promise<void>;
  /** The file is not wanted. */
  discard(): Promise<void>;
  /** Opens the body once it has been kept. */
  open(id: string): Promise<StoredBody | undefined>;
}

/** A body that is written once, front to back, and read meanwhile. */
export class GrowingBody implements BodyWriter {
  readonly #host: GrowingBodyHost;
  readonly #shared: SharedFile;
  /** Hashing 64 KiB takes some 40 us: less than handing the chunk to a thread and back would cost the loop. */
  readonly #hash = createHash('sha256');
  readonly #sums = new BlockSums();
  #bytes = 0;
  #state: 'growing' | 'whole' | 'failed' = 'growing';
  #failure: unknown;
  #id: string | undefined;
  #work: Promise<unknown> = Promise.resolve();
  #waiting: (() => void)[] = [];

  constructor(file: FileHandle, host: GrowingBodyHost) {
    this.#shared = new SharedFile(file);
    this.#host = host;
  }

  get bytes(): number {
    return this.#bytes;
  }

  write(chunk: Buffer): Promise<void> {
    return this.#inTurn(async () => {
      if (chunk.length === 0) return;
      await this.#host.makeRoom(this.#bytes + chunk.length);
      await this.#host.write(chunk.length, () => writeFully(this.#shared.file, chunk, this.#bytes));
      this.#hash.update(chunk);
      this.#sums.update(chunk);
      this.#bytes += chunk.length;
      this.#wake();
    });
  }

  commit(): Promise<string> {
    return this.#inTurn(async () => {
      const id = this.#hash.digest('hex');
      const trailer = this.#sums.trailer(id);
      await this.#host.write(trailer.length, () => writeFully(this.#shared.file, trailer, this.#bytes));
      await this.#host.keep(id, this.#bytes);
      this.#state = 'whole';
      this.#id = id;
      this.#wake();
      this.#shared.release();
      return id;
    });
  }

  async abort(reason: Error): Promise<void> {
    await this.#inTurn(() => Promise.reject(reason)).catch(() => undefined);
  }

  read(start = 0, endExclusive = Number.POSITIVE_INFINITY): Readable {
    checkRange(start, endExclusive);
    if (this.#id !== undefined) return this.#readKept(this.#id, start, endExclusive);
    if (this.#state === 'failed') return failedStream(this.#failure);
    let position = start;
    let ended = false;
    const next = async (): Promise<Buffer | undefined> => {
      while (!ended && position < endExclusive) {
        const length = Math.min(READ_BYTES, endExclusive - position, this.#bytes - position);
        if (length > 0) {
          const chunk = Buffer.allocUnsafe(length);
          const { bytesRead } = await this.#host.read(() => this.#shared.file.read(chunk, 0, length, position));
          if (bytesRead === 0) throw new Error('the file of a body that is being written has been cut short');
          position += bytesRead;
          return chunk.subarray(0, bytesRead);
        }
        if (this.#state === 'failed') throw this.#failure;
        if (this.#state === 'whole') break;
        await new Promise<void>((resolve) => this.#waiting.push(resolve));
      }
      return undefined;
    };
    this.#shared.retain();
    return new PulledStream(next, () => {
      ended = true;
      this.#shared.release();
    });
  }

  #readKept(id: string, start: number, endExclusive: number): Readable {
    let body: StoredBody | undefined;
    let chunks: AsyncIterator<Buffer> | undefined;
    const next = async (): Promise<Buffer | undefined> => {
      if (!chunks) {
        body = await this.#host.open(id);
        if (!body) throw new Error(`body ${id} is not in the store any more`);
        chunks = body.read(start, endExclusive)[Symbol.asyncIterator]();
      }
      const { value, done } = await chunks.next();
      return done ? undefined : value;
    };
    return new PulledStream(next, () => {
      void chunks?.return?.();
      void body?.close();
    });
  }

  /** One step after the other; the first that fails ends the body. */
  #inTurn<T>(step: () => Promise<T>): Promise<T> {
    const done = this.#work.then(async () => {
      if (this.#state !== 'growing') throw this.#notGrowing();
      try {
        return await step();
      } catch (error) {
        this.#state = 'failed';
        this.#failure = error;
        this.#wake();
        await this.#host.discard();
        this.#shared.release();
        throw error;
      }
    });
    this.#work = done.catch(() => undefined);
    return done;
  }

  #notGrowing(): unknown {
    return this.#state === 'whole' ? new Error('the body is whole already; open it by its id') : this.#failure;
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resume of waiting) resume();
  }
}

function failedStream(reason: unknown): Readable {
  return new PulledStream(
    () => Promise.reject(reason),
    () => undefined,
  );
}
