import { Readable } from 'node:stream';
import type { BodyStore, BodyWriter } from '../cache/body-store';

/** Bytes that a body which is not kept may be ahead of its slowest reader. */
const WINDOW_BYTES = 1024 * 1024;
const READER_BUFFER_BYTES = 256 * 1024;

/** How a body is kept while it arrives. */
export interface FillBodyOptions {
  /** Bodies up to this are kept in memory, bytes. */
  readonly inlineBytes: number;
  /** Takes bodies that are larger; without it they are passed on and not kept. */
  readonly bodies: BodyStore | undefined;
  readonly expectedBytes: number | undefined;
  /** Bodies larger than this are passed on and not kept. */
  readonly maxBytes: number;
}

/** What became of a body that arrived whole. */
export type KeptBody =
  | { readonly kind: 'inline'; readonly bytes: Buffer }
  | { readonly kind: 'file'; readonly id: string; readonly bytes: number }
  | { readonly kind: 'passed' };

/** What a reader gets for a position. */
type Next = Buffer | 'later' | 'end' | Error;

/**
 * The body of one fill, read by any number of clients while it arrives, each at its own pace: in memory while it is
 * small, in a file of the body store beyond that. Where neither will keep it, it is passed on within a bounded window
 * to those who have begun to read, and nobody may join any more.
 */
export class FillBody {
  readonly #options: FillBodyOptions;
  readonly #readers = new Set<BodyReader>();
  /** What is in memory: the bytes from `#start` on. What is before them is in the file, or has been passed on. */
  #chunks: Buffer[] = [];
  #start = 0;
  #received = 0;
  #file: BodyWriter | undefined;
  #passing = false;
  #whole = false;
  #failure: Error | undefined;
  #windowOpens: () => void = () => undefined;

  constructor(options: FillBodyOptions) {
    this.#options = options;
  }

  /** Whether a client that comes now still gets the body from its first byte. */
  get joinable(): boolean {
    return !this.#passing && !this.#failure;
  }

  /** True when the body is not kept and nobody reads it: it need not go on arriving. */
  get abandoned(): boolean {
    return this.#passing && this.#readers.size === 0;
  }

  /** Appends a chunk; resolves when the next may come. Never rejects: a disk that refuses only ends the keeping. */
  async write(chunk: Buffer): Promise<void> {
    const { inlineBytes, maxBytes } = this.#options;
    const size = this.#received + chunk.length;
    if (!this.#passing && size > maxBytes) await this.#keepNoMore();
    if (!this.#passing && !this.#file && size > inlineBytes) await this.#moveToFile();
    await this.#append(chunk);
    this.#received = size;
    this.#wake();
    if (this.#passing) await this.#untilWindowOpens();
  }

  /** The body has arrived whole. Resolves with where it is kept. */
  async end(): Promise<KeptBody> {
    let kept: KeptBody = { kind: 'passed' };
    if (this.#file) {
      const bytes = this.#received;
      kept = await this.#file.commit().then(
        (id) => ({ kind: 'file', id, bytes }),
        () => {
          this.#passing = true;
          return { kind: 'passed' };
        },
      );
    } else if (!this.#passing) kept = { kind: 'inline', bytes: Buffer.concat(this.#chunks) };
    this.#whole = true;
    this.#wake();
    return kept;
  }

  /** The body will never be whole: its readers' streams break, so that nobody takes a part for all of it. */
  async fail(reason: Error): Promise<void> {
    this.#failure = reason;
    await this.#file?.abort(reason);
    this.#wake();
    this.#windowOpens();
  }

  /** A stream of the body from its first byte; only while `joinable`. */
  read(): Readable {
    const reader = new BodyReader(this);
    this.#readers.add(reader);
    if (this.#file) reader.follow(this.#file.read());
    return reader;
  }

  /** For readers: what follows `position`. */
  next(position: number): Next {
    if (this.#failure) return this.#failure;
    const held = this.#chunkAt(position);
    if (held) return held;
    if (this.#whole && position === this.#received) return 'end';
    return position < this.#start ? new Error('this part of the body is gone') : 'later';
  }

  /** For readers: whether what follows `position` is in memory. */
  holds(position: number): boolean {
    return this.#chunkAt(position) !== undefined;
  }

  /** For readers: one has read on, or gone. */
  readerMoved(reader: BodyReader, isGone: boolean): void {
    if (isGone) this.#readers.delete(reader);
    if (!this.#passing) return;
    const slowest = Math.min(this.#received, ...[...this.#readers].map(({ position }) => position));
    for (let first = this.#chunks[0]; first && this.#start + first.length <= slowest; first = this.#chunks[0]) {
      this.#start += first.length;
      this.#chunks.shift();
    }
    if (this.#isWindowOpen()) this.#windowOpens();
  }

  async #moveToFile(): Promise<void> {
    const { bodies, expectedBytes } = this.#options;
    try {
      if (!bodies) throw new Error('there is no disk tier for large bodies');
      const file = await bodies.create(expectedBytes);
      for (const chunk of this.#chunks) await file.write(chunk);
      this.#file = file;
      this.#chunks = [];
      this.#start = this.#received;
      // At once: of a file that the disk or the bound ends, only those who read it already get what was written.
      for (const reader of this.#readers) reader.follow(file.read(reader.position));
    } catch {
      this.#passing = true;
    }
  }

  async #append(chunk: Buffer): Promise<void> {
    if (this.#file) {
      try {
        await this.#file.write(chunk);
        this.#start = this.#received + chunk.length;
        return;
      } catch {
        // What was written can still be read from the file; what comes from now on is passed on.
        this.#file = undefined;
        this.#passing = true;
        this.#start = this.#received;
      }
    }
    this.#chunks.push(chunk);
  }

  /** Larger than its route allows: those who read get the rest, and it is stored nowhere. */
  async #keepNoMore(): Promise<void> {
    this.#passing = true;
    const file = this.#file;
    this.#file = undefined;
    await file?.abort(new Error('the body is larger than may be kept'));
  }

  #chunkAt(position: number): Buffer | undefined {
    let at = this.#start;
    if (position < at) return undefined;
    for (const chunk of this.#chunks) {
      if (position < at + chunk.length) return chunk.subarray(position - at);
      at += chunk.length;
    }
    return undefined;
  }

  #wake(): void {
    for (const reader of this.#readers) reader.readOn();
  }

  #isWindowOpen(): boolean {
    return this.#received - this.#start < WINDOW_BYTES || this.#readers.size === 0;
  }

  #untilWindowOpens(): Promise<void> | undefined {
    if (this.#failure || this.#isWindowOpen()) return undefined;
    return new Promise((resolve) => {
      this.#windowOpens = resolve;
    });
  }
}

/** One client's view of a body that is arriving. */
class BodyReader extends Readable {
  position = 0;
  readonly #body: FillBody;
  #wanted = false;
  #file: Readable | undefined;

  constructor(body: FillBody) {
    super({ highWaterMark: READER_BUFFER_BYTES });
    this.#body = body;
  }

  override _read(): void {
    this.#wanted = true;
    if (this.#file) this.#file.resume();
    else this.readOn();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#file?.destroy();
    this.#body.readerMoved(this, true);
    done(error);
  }

  /** More of the body may have arrived. */
  readOn(): void {
    while (this.#wanted && !this.#file && !this.destroyed) {
      const next = this.#body.next(this.position);
      if (next === 'later') return;
      if (next === 'end') {
        this.push(null);
        return;
      }
      if (next instanceof Error) {
        this.destroy(next);
        return;
      }
      this.#take(next);
    }
  }

  /** What follows is in a file that still grows; when it ends or breaks off there, the body knows what comes next. */
  follow(file: Readable): void {
    this.#file = file;
    if (!this.#wanted) file.pause();
    file.on('data', (chunk: Buffer) => {
      if (!this.#take(chunk)) file.pause();
    });
    const leave = () => {
      this.#file = undefined;
      this.readOn();
    };
    file.once('end', leave);
    file.once('error', leave);
  }

  #take(chunk: Buffer): boolean {
    this.position += chunk.length;
    this.#wanted = this.push(chunk);
    this.#body.readerMoved(this, false);
    return this.#wanted;
  }
}
