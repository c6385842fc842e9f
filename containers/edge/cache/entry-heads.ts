import { FORMAT, HEADER_BYTES } from './entry-codec';
import type { Position } from './types';

const STORED_AT = 1;
const TTL_AT = 9;
const SEQ_AT = 17;
const STALE_WHILE_REVALIDATE_AT = 25;
const STALE_IF_ERROR_AT = 33;
const EPOCH_LENGTH_AT = 41;
const KEY_LENGTH_AT = 43;
const TAG_COUNT_AT = 45;
const BODY_LENGTH_AT = 47;

/**
 * What is needed of many encoded entries that lie in one buffer, without decoding any of them whole: a tenth of the
 * time, and next to nothing for the garbage collector. `start` is where an entry begins; only `isEntry` doubts it.
 */
export class EntryHeads {
  readonly #bytes: Buffer;
  readonly #view: DataView;
  /** Entries that follow one another mostly share it. */
  #stamp: Position = { epoch: '', seq: 0 };
  #epochAt = 0;
  #epochLength = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  /** Whether an entry of this format lies here, as far as its lengths tell: they add up to its end. */
  isEntry(start: number, end: number): boolean {
    if (end - start < HEADER_BYTES || this.#view.getUint8(start) !== FORMAT) return false;
    let at = start + HEADER_BYTES + this.#u16(start + EPOCH_LENGTH_AT) + this.#u16(start + KEY_LENGTH_AT);
    for (let left = this.#u16(start + TAG_COUNT_AT); left > 0; left--) {
      if (at + 2 > end) return false;
      at += 2 + this.#u16(at);
    }
    return at + this.#view.getUint32(start + BODY_LENGTH_AT, true) === end;
  }

  keyAt(start: number): string {
    const from = start + HEADER_BYTES + this.#u16(start + EPOCH_LENGTH_AT);
    return this.#bytes.toString('utf8', from, from + this.#u16(start + KEY_LENGTH_AT));
  }

  /** Wall-clock ms since 1970. */
  storedAtAt(start: number): number {
    return this.#f64(start + STORED_AT);
  }

  /** Wall-clock ms since 1970; see `retainedUntil` of an entry. */
  retainedUntilAt(start: number): number {
    const stale = Math.max(this.#f64(start + STALE_WHILE_REVALIDATE_AT), this.#f64(start + STALE_IF_ERROR_AT));
    return this.#f64(start + STORED_AT) + this.#f64(start + TTL_AT) + stale;
  }

  stampAt(start: number): Position {
    const seq = this.#f64(start + SEQ_AT);
    const from = start + HEADER_BYTES;
    const length = this.#u16(start + EPOCH_LENGTH_AT);
    if (!this.#isLastEpoch(from, length)) {
      this.#epochAt = from;
      this.#epochLength = length;
      this.#stamp = { epoch: this.#bytes.toString('utf8', from, from + length), seq };
    } else if (seq !== this.#stamp.seq) this.#stamp = { epoch: this.#stamp.epoch, seq };
    return this.#stamp;
  }

  #isLastEpoch(from: number, length: number): boolean {
    if (length !== this.#epochLength) return false;
    for (let i = 0; i < length; i++) if (this.#bytes[from + i] !== this.#bytes[this.#epochAt + i]) return false;
    return true;
  }

  #u16(at: number): number {
    return this.#view.getUint16(at, true);
  }

  #f64(at: number): number {
    return this.#view.getFloat64(at, true);
  }
}
