import type { CacheEntry } from '../cache/types';
import type { LoadedModel } from '../inference/loaded-model';

/** A request that has been answered from memory before: what its text comes to, so that it need not be read again. */
export interface KnownRequest {
  /** Value of the POP's live-version header. */
  readonly liveVersion: string | undefined;
  /** The repository's generation under which `model` was chosen. */
  readonly generation: number;
  readonly model: LoadedModel;
  readonly versionIsNamed: boolean;
  /** Cache key of the prediction. */
  readonly key: string;
  /** About what `entry` and `answer` take, bytes. */
  readonly answerBytes: number;
  /** The entry that `answer` says; none before it is asked for again from memory. */
  entry: CacheEntry | undefined;
  answer: WrittenAnswer | undefined;
}

/** The parts of an answer from one entry that are the same until it is refilled or a second has passed. */
export interface WrittenAnswer {
  /** A character for every byte. */
  readonly body: string;
  /** Field lines that stay. */
  readonly fields: string;
  /** Field lines that change with the age of the entry; `ttlSeconds` is what they say. */
  changing: string;
  ttlSeconds: number;
}

/** Roughly what the objects and strings around a request's text take. */
const OVERHEAD_BYTES = 1_024;

/**
 * Known requests by their raw text, bounded in bytes. Two generations: when the young one is full it becomes the old
 * one, and what is asked for again moves back; what is not is forgotten.
 */
export class KnownRequests {
  readonly #maxBytes: number;
  #young = new Map<string, KnownRequest>();
  #old = new Map<string, KnownRequest>();
  #youngBytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  find(raw: string): KnownRequest | undefined {
    const known = this.#young.get(raw);
    if (known !== undefined || this.#old.size === 0) return known;
    const old = this.#old.get(raw);
    if (old !== undefined) this.remember(raw, old);
    return old;
  }

  remember(raw: string, known: KnownRequest): void {
    const bytes = OVERHEAD_BYTES + raw.length + known.answerBytes;
    if (bytes > this.#maxBytes / 8) return;
    if (this.#youngBytes + bytes > this.#maxBytes / 2) {
      this.#old = this.#young;
      this.#young = new Map();
      this.#youngBytes = 0;
    }
    if (!this.#young.has(raw)) this.#youngBytes += bytes;
    this.#young.set(raw, known);
  }
}
