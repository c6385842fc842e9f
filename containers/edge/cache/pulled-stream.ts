import type { FileHandle } from 'node:fs/promises';
import { Readable } from 'node:stream';

/**
 * A stream that asks for its next chunk only when the one before has been taken: it holds one chunk at most, and an error
 * reaches nobody before the bytes that came before it.
 */
export class PulledStream extends Readable {
  readonly #next: () => Promise<Buffer | undefined>;
  readonly #release: () => void;

  /** `next` gives `undefined` at the end; `release` is called once, whichever way the stream ends. */
  constructor(next: () => Promise<Buffer | undefined>, release: () => void) {
    super({ highWaterMark: 1 });
    this.#next = next;
    this.#release = release;
  }

  override _read(): void {
    this.#next().then(
      (chunk) => this.push(chunk ?? null),
      (error: Error) => this.destroy(error),
    );
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#release();
    done(error);
  }
}

/** A file handle with several users, closed when the last has let go. */
export class SharedFile {
  readonly file: FileHandle;
  readonly #onClose: () => void;
  #users = 1;

  /** The one who makes it is its first user. */
  constructor(file: FileHandle, onClose: () => void = () => undefined) {
    this.file = file;
    this.#onClose = onClose;
  }

  retain(): void {
    this.#users += 1;
  }

  release(): void {
    this.#users -= 1;
    if (this.#users > 0) return;
    this.#onClose();
    // Nobody waits: it comes behind operations that are under way, and a disk that hangs ends none.
    this.file.close().catch(() => undefined);
  }
}

/** Checks a range of a body. Throws a RangeError that names the field. */
export function checkRange(start: number, endExclusive: number | undefined): void {
  if (!Number.isSafeInteger(start) || start < 0) throw new RangeError(`start is ${start}; it must be a byte offset`);
  if (endExclusive !== undefined && !(endExclusive >= start)) {
    throw new RangeError(`endExclusive is ${endExclusive}; it must not be before start, ${start}`);
  }
}
