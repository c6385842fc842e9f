/**
 * A body that is read once from its source and given to any number of readers, each from the beginning, as it arrives.
 * It is read to its end even when no reader is left, so that a viewer who hangs up does not spoil the cache.
 */
export class SharedBody implements AsyncIterable<Buffer> {
  private readonly chunks: Buffer[] = [];
  private ended = false;
  private failure: { readonly error: unknown } | undefined;
  private waiting: (() => void)[] = [];

  /** The whole body; rejects when the source breaks off. */
  readonly whole: Promise<Buffer>;

  constructor(source: AsyncIterable<Buffer>) {
    this.whole = this.consume(source);
    // A break-off reaches the readers; nobody else needs to wait for the whole.
    this.whole.catch(() => undefined);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    for (let index = 0; ; index += 1) {
      while (index >= this.chunks.length && !this.ended) await this.more();
      const chunk = this.chunks[index];
      if (chunk === undefined) break;
      yield chunk;
    }
    if (this.failure) throw this.failure.error;
  }

  private async consume(source: AsyncIterable<Buffer>): Promise<Buffer> {
    try {
      for await (const chunk of source) {
        this.chunks.push(chunk);
        this.wake();
      }
      return Buffer.concat(this.chunks);
    } catch (error) {
      this.failure = { error };
      throw error;
    } finally {
      this.ended = true;
      this.wake();
    }
  }

  private more(): Promise<void> {
    return new Promise((resolve) => {
      this.waiting.push(resolve);
    });
  }

  private wake(): void {
    const waiting = this.waiting;
    this.waiting = [];
    for (const resolve of waiting) resolve();
  }
}

/** Passes a body on and tells the size of each chunk. */
export async function* counted(source: AsyncIterable<Buffer>, count: (bytes: number) => void): AsyncGenerator<Buffer> {
  for await (const chunk of source) {
    count(chunk.length);
    yield chunk;
  }
}
