import { RequestHead } from './request-head';

/** Longer blocks are read anew each time, characters. */
const MAX_BLOCK = 2_048;
const MAX_BLOCKS = 1_024;

/**
 * Heads by the text of their field lines: clients send the same fields with every request, a client that posts now and
 * then another `Content-Length`. Bounded; when it is full all are forgotten.
 */
export class KnownHeads {
  readonly #maxFields: number;
  readonly #heads = new Map<string, RequestHead>();

  /** Heads with more than `maxFields` fields are none of those that are read here. */
  constructor(maxFields: number) {
    this.#maxFields = maxFields;
  }

  /** The head of a block of field lines, as `RequestHead.parse`. */
  of(block: string): RequestHead | undefined {
    const known = this.#heads.get(block);
    if (known !== undefined) return known;
    const head = RequestHead.parse(block);
    if (head === undefined || head.rawHeaders.length > 2 * this.#maxFields) return undefined;
    if (block.length > MAX_BLOCK) return head;
    if (this.#heads.size >= MAX_BLOCKS) this.#heads.clear();
    // A part of a longer text would keep all of it in memory.
    this.#heads.set(Buffer.from(block, 'latin1').toString('latin1'), head);
    return head;
  }
}
