import { type NewRecord, recordBytes } from './entry-segments';
import type { CacheEntry } from './types';

/** A record of a key; without an entry it says that the key is gone. */
export interface EntryRecord extends NewRecord {
  readonly key: string;
  readonly entry: CacheEntry | undefined;
}

interface PendingRecord extends EntryRecord {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Records beyond this are refused: a slow disk must not fill the memory. */
const MAX_BYTES = 32 * 1024 * 1024;

/** Records on their way to the disk, in order, readable meanwhile. */
export class PendingWrites {
  readonly #newest = new Map<string, PendingRecord>();
  #queue: PendingRecord[] = [];
  #bytes = 0;

  get isEmpty(): boolean {
    return this.#queue.length === 0;
  }

  /** The newest record of a key that is not on the disk yet. */
  get(key: string): EntryRecord | undefined {
    return this.#newest.get(key);
  }

  /** Settles with the group that the record becomes part of. Rejects when the disk is too far behind. */
  add(record: EntryRecord): Promise<void> {
    if (this.#bytes + recordBytes(record.payload) > MAX_BYTES) {
      return Promise.reject(new Error(`the disk is behind by ${this.#bytes} bytes; not storing ${record.key}`));
    }
    this.#bytes += recordBytes(record.payload);
    return new Promise((resolve, reject) => {
      const item: PendingRecord = { ...record, resolve, reject };
      this.#newest.set(record.key, item);
      this.#queue.push(item);
    });
  }

  /** Takes what comes next, at least one record and up to `maxBytes`. */
  takeGroup(maxBytes: number): PendingGroup {
    let bytes = 0;
    let count = 0;
    for (const { payload } of this.#queue) {
      const next = bytes + recordBytes(payload);
      if (count > 0 && next > maxBytes) break;
      bytes = next;
      count += 1;
    }
    const records = this.#queue.splice(0, count);
    const leave = (item: PendingRecord): void => {
      this.#bytes -= recordBytes(item.payload);
      if (this.#newest.get(item.key) === item) this.#newest.delete(item.key);
    };
    let isGivenUp = false;
    return {
      records,
      bytes,
      isGivenUp: () => isGivenUp,
      written() {
        records.forEach(leave);
        for (const item of records) item.resolve();
      },
      failed(error) {
        isGivenUp = true;
        records.forEach(leave);
        for (const item of records) item.reject(error);
      },
    };
  }
}

/** Records that are written at once; one of `written` and `failed` is to be called. */
export interface PendingGroup {
  readonly records: readonly EntryRecord[];
  readonly bytes: number;
  /** True once `failed` has been called. */
  isGivenUp(): boolean;
  written(): void;
  failed(error: unknown): void;
}
