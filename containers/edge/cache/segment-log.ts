import type { Logger } from '../control/types';
import {
  appendRecords,
  createSegment,
  type NewRecord,
  openSegments,
  removeSegment,
  type Segment,
} from './entry-segments';

const MAX_SEGMENT_BYTES = 16 * 1024 * 1024;
/** Segments the bound is divided into at least: so much is given up at once to make room. */
const MIN_SEGMENTS = 8;

/** Segment files of one directory within a bound of bytes. Its methods are to be called one after the other. */
export class SegmentLog {
  /** The largest record that is kept. */
  readonly segmentBytes: number;
  readonly #directory: string;
  readonly #maxBytes: number;
  readonly #log: Logger;
  /** Oldest first. */
  readonly #segments: Set<Segment>;
  /** Of files that could not be deleted when they should have been. */
  readonly #undeleted = new Set<Segment>();
  #active: Segment | undefined;
  #nextNumber: number;

  /** Rejects when the directory cannot be read. */
  static async open(directory: string, maxBytes: number, log: Logger): Promise<SegmentLog> {
    return new SegmentLog(directory, maxBytes, await openSegments(directory), log);
  }

  private constructor(directory: string, maxBytes: number, inherited: readonly Segment[], log: Logger) {
    this.segmentBytes = Math.min(MAX_SEGMENT_BYTES, Math.max(1, Math.floor(maxBytes / MIN_SEGMENTS)));
    this.#directory = directory;
    this.#maxBytes = maxBytes;
    this.#log = log;
    this.#segments = new Set(inherited);
    this.#nextNumber = (inherited.at(-1)?.number ?? 0) + 1;
  }

  /** Oldest first. */
  segments(): Segment[] {
    return [...this.#segments];
  }

  holds(segment: Segment): boolean {
    return this.#segments.has(segment);
  }

  bytes(): number {
    let sum = 0;
    for (const segment of this.#segments) sum += segment.bytes;
    for (const segment of this.#undeleted) sum += segment.bytes;
    return sum;
  }

  /** Whether the segment that is being written takes so many bytes more. */
  fits(bytes: number): boolean {
    return this.#active !== undefined && this.#active.bytes + bytes <= this.segmentBytes;
  }

  /** The segment that must go first for `bytes` to be added; `undefined` when they fit within the bound. */
  surplus(bytes: number): Segment | undefined {
    const oldest = this.oldest();
    return oldest !== this.#active && this.bytes() + bytes > this.#maxBytes ? oldest : undefined;
  }

  oldest(): Segment | undefined {
    const [oldest] = this.#segments;
    return oldest;
  }

  /** Goes on in a new segment. */
  async start(): Promise<void> {
    this.#active = await createSegment(this.#directory, this.#nextNumber++);
    this.#segments.add(this.#active);
  }

  /** Writes records that fit. Rejects when the disk refuses; nothing is appended behind what it may have written. */
  async append(records: readonly NewRecord[]): Promise<{ readonly segment: Segment; readonly offsets: number[] }> {
    const segment = this.#active;
    if (!segment) throw new Error('no segment has been started');
    try {
      return { segment, offsets: await appendRecords(segment, records) };
    } catch (error) {
      // With the torn tail cut off it can be gone on with, so that a disk that stays full does not collect segments.
      await segment.file.truncate(segment.bytes).catch(() => {
        this.#active = undefined;
      });
      throw error;
    }
  }

  /** Deletes a segment. One that the disk will not delete takes up its room still, and is tried again with the next. */
  async remove(segment: Segment): Promise<void> {
    this.#segments.delete(segment);
    if (this.#active === segment) this.#active = undefined;
    this.#undeleted.add(segment);
    for (const each of this.#undeleted) {
      try {
        await removeSegment(each);
        this.#undeleted.delete(each);
      } catch (error) {
        this.#log.warn({ err: error, path: each.path }, 'a segment of the disk cache could not be deleted');
      }
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#segments].map((segment) => segment.file.close()));
  }
}
