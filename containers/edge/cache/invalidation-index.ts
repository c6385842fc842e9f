import type { InvalidationTargets } from '../../../lib/core/control-message';
import { AppliedBatches } from './applied-batches';
import { type BanSnapshot, Bans } from './bans';
import { baseKeyOf } from './base-key';
import { type ChainSnapshot, EpochChain } from './epoch-chain';
import { LocalMarks } from './local-marks';
import type { CacheEntry, Position } from './types';

/** The index as plain data, for the journal beside the disk tier. */
export interface IndexSnapshot {
  readonly chain: ChainSnapshot;
  readonly applied: Position;
  readonly floor: number;
  readonly keys: readonly (readonly [string, number])[];
  readonly tags: readonly (readonly [string, number])[];
  readonly bans: readonly BanSnapshot[];
}

/** How much an index remembers before it forgets its oldest invalidations by raising its floor. */
export interface IndexLimits {
  /** Distinct keys and tags together. */
  readonly names: number;
  /** Prefixes and globs, each tried on every entry that is older than it. */
  readonly bans: number;
  /** Epochs followed without a gap. */
  readonly epochs: number;
}

const DEFAULT_LIMITS: IndexLimits = { names: 500_000, bans: 1_000, epochs: 32 };
/** Entries kept for longer than this are distrusted once an invalidation of that age is forgotten. */
const MAX_RETENTION_MS = 7 * 24 * 3_600_000;
/** What other tasks keep in a shared tier is not known before it is read: so long is taken for granted. */
const LEAST_RETENTION_MS = 3_600_000;
/** Names dropped in one go when they are of no use any more: a slice of work that no request notices. */
const DROPPED_AT_ONCE = 1_000;

/** Settings of an index that tests shorten. */
export interface IndexOptions {
  readonly limits?: IndexLimits;
  /** Time in ms by which the age of invalidations is told; only ever decides how soon one is forgotten. */
  readonly clock?: () => number;
}

/**
 * Which entries the invalidations seen by this process leave valid. Names map to the newest position that invalidated
 * them, so applying costs O(names in the message), whatever the number of cached entries, and checking an entry costs
 * one look-up per tag. Everything stamped below the floor, or in an epoch that was not followed, is invalid.
 */
export class InvalidationIndex {
  readonly #limits: IndexLimits;
  readonly #chain: EpochChain;
  #applied: Position;
  #floor = 0;
  readonly #keys = new Map<string, number>();
  readonly #tags = new Map<string, number>();
  readonly #bans = new Bans();
  readonly #batches = new AppliedBatches();
  #longestRetentionMs = LEAST_RETENTION_MS;
  readonly #clock: () => number;
  readonly #marks = new LocalMarks();
  #stamp: Position;
  #version = 0;
  #tagVersion = 0;
  #banVersion = 0;

  constructor(start: Position, { limits = DEFAULT_LIMITS, clock = Date.now }: IndexOptions = {}) {
    this.#limits = limits;
    this.#clock = clock;
    this.#applied = start;
    this.#stamp = start;
    this.#chain = new EpochChain(start.epoch);
    this.#floor = start.seq;
  }

  /** Position up to which every message is applied: the stamp of a fill that begins now. */
  position(): Position {
    return this.#stamp;
  }

  /** Changes whenever an entry that was valid may have become invalid. */
  version(): number {
    return this.#version;
  }

  /**
   * Whether the answer to a fill of `key` that began at `stamp`, when the tag version was `tagVersion`, may be given to
   * a request that arrives now. Its tags are not known yet: any invalidation of a tag may concern it.
   */
  maySee(key: string, stamp: Position, tagVersion: number): boolean {
    return this.#tagVersion === tagVersion && this.#isValid(key, [], stamp);
  }

  /** Changes whenever an invalidation may hit an answer whatever its key. */
  tagVersion(): number {
    return this.#tagVersion;
  }

  /** Changes with every prefix and glob that invalidates. */
  banVersion(): number {
    return this.#banVersion;
  }

  /** Makes keys and their variants invalid in this process alone, until `unmark` is called with what this returns. */
  mark(keys: readonly string[]): number {
    const place = this.#marks.mark(keys);
    this.#marksChanged();
    return place;
  }

  /** The message for these keys stands in the log and has been applied, or makes up for the mark in another way. */
  unmark(keys: readonly string[], place: number): void {
    this.#marks.unmark(keys, place);
  }

  /** As `mark`, for every key there is. */
  markEverything(): number {
    const place = this.#marks.markEverything();
    this.#tagVersion += 1;
    this.#marksChanged();
    return place;
  }

  unmarkEverything(place: number): void {
    this.#marks.unmarkEverything(place);
  }

  /** Something is kept for this long, ms: invalidations are remembered at least as long, up to a week. */
  noteRetention(ms: number): void {
    if (ms > this.#longestRetentionMs) this.#longestRetentionMs = Math.min(ms, MAX_RETENTION_MS);
  }

  /**
   * Forgets invalidations older than everything that is kept, and distrusts what should be older still. To be called
   * now and then; does a bounded piece of work.
   */
  forgetExpired(): void {
    this.#raiseFloor(this.#batches.forgetBefore(this.#clock() - this.#longestRetentionMs));
    this.#bans.forgetUpTo(this.#floor);
    for (const names of [this.#keys, this.#tags]) {
      let left = DROPPED_AT_ONCE;
      for (const [name, order] of names) {
        if (order > this.#floor || left-- === 0) break;
        names.delete(name);
      }
    }
  }

  /** Applies an invalidation that stands at `position`. Positions of one epoch must come in order. */
  invalidate(targets: InvalidationTargets, position: Position): void {
    this.advance(position);
    const order = this.#chain.orderOf(position);
    if (order === undefined) return;
    for (const key of targets.keys) moveToEnd(this.#keys, key, order);
    for (const tag of targets.tags) moveToEnd(this.#tags, tag.toLowerCase(), order);
    for (const prefix of targets.prefixes) this.#ban('prefix', prefix, order);
    for (const pattern of targets.patterns) this.#ban('glob', pattern, order);
    this.#version += 1;
    if (targets.tags.length > 0) this.#tagVersion += 1;
    this.#batches.note(order, this.#clock());
    this.#forgetOldest();
  }

  /** Moves the position past a message that invalidates nothing. */
  advance(position: Position): void {
    if (position.epoch !== this.#applied.epoch || position.seq <= this.#applied.seq) {
      throw new RangeError(
        `control log position ${position.epoch}/${position.seq} does not follow ${this.#applied.epoch}/${this.#applied.seq}`,
      );
    }
    this.#moveTo(position);
  }

  /** The log goes on from 0 under a new name and nothing was missed in between: everything known keeps its place. */
  continueAs(epoch: string): void {
    this.#chain.continueAs(epoch, this.#applied.seq);
    this.#moveTo({ epoch, seq: 0 });
    this.#version += 1;
    this.#forgetOldest();
  }

  /** Messages may have been missed: forgets everything and trusts only what is stamped at `from` or later. */
  restartAt(from: Position): void {
    this.#chain.restartAt(from.epoch);
    this.#moveTo(from);
    this.#floor = from.seq;
    this.#keys.clear();
    this.#tags.clear();
    this.#bans.clear();
    this.#batches.clear();
    this.#version += 1;
    this.#tagVersion += 1;
  }

  /** Whether no invalidation that is known stands past the entry's stamp. */
  isValid(entry: Pick<CacheEntry, 'key' | 'tags' | 'stamp'>): boolean {
    return this.#isValid(entry.key, entry.tags, entry.stamp);
  }

  snapshot(): IndexSnapshot {
    return {
      chain: this.#chain.snapshot(),
      applied: this.#applied,
      floor: this.#floor,
      keys: [...this.#keys],
      tags: [...this.#tags],
      bans: this.#bans.snapshot(),
    };
  }

  /** Takes the place of everything known; for an index that has not been used yet. */
  restore(snapshot: IndexSnapshot): void {
    this.restartAt(snapshot.applied);
    this.#chain.restore(snapshot.chain);
    this.#floor = snapshot.floor;
    for (const [key, order] of snapshot.keys) this.#keys.set(key, order);
    for (const [tag, order] of snapshot.tags) this.#tags.set(tag, order);
    for (const { kind, text, order } of snapshot.bans) this.#ban(kind, text, order);
    // When these were applied, and how long what lies on the disk is kept, nobody has written down.
    this.#batches.note(this.#chain.orderOf(snapshot.applied) ?? 0, this.#clock());
    this.noteRetention(MAX_RETENTION_MS);
  }

  #isValid(key: string, tags: readonly string[], stamp: Position): boolean {
    const order = this.#chain.orderOf(stamp);
    if (order === undefined || order < this.#floor) return false;
    return !this.#marks.hits(key, stamp.local ?? 0) && !this.#isInvalidatedPast(order, key, tags);
  }

  #isInvalidatedPast(order: number, key: string, tags: readonly string[]): boolean {
    const base = baseKeyOf(key);
    if ((this.#keys.get(base) ?? 0) > order) return true;
    if (base !== key && (this.#keys.get(key) ?? 0) > order) return true;
    if (tags.some((tag) => (this.#tags.get(tag.toLowerCase()) ?? 0) > order)) return true;
    return this.#bans.hit(base, order);
  }

  #ban(kind: BanSnapshot['kind'], text: string, order: number): void {
    this.#bans.add(kind, text, order);
    this.#banVersion += 1;
  }

  #moveTo(position: Position): void {
    this.#applied = position;
    this.#stamp = this.#marks.now() === 0 ? position : { ...position, local: this.#marks.now() };
  }

  #marksChanged(): void {
    this.#moveTo(this.#applied);
    this.#version += 1;
  }

  /** Keeps memory bounded: what is forgotten is made up for by distrusting every entry older than it. */
  #forgetOldest(): void {
    while (this.#chain.length > this.#limits.epochs) this.#raiseFloor(this.#chain.forgetOldest());
    while (this.#bans.size > this.#limits.bans) this.#raiseFloor(this.#bans.forgetOldest());
    while (this.#keys.size + this.#tags.size > this.#limits.names) {
      const oldestKey = first(this.#keys);
      const oldestTag = first(this.#tags);
      const forgetKey = oldestKey !== undefined && (oldestTag === undefined || oldestKey[1] <= oldestTag[1]);
      const forgotten = forgetKey ? oldestKey : oldestTag;
      if (!forgotten) return;
      (forgetKey ? this.#keys : this.#tags).delete(forgotten[0]);
      this.#raiseFloor(forgotten[1]);
    }
  }

  #raiseFloor(order: number | undefined): void {
    if (order === undefined || order <= this.#floor) return;
    this.#floor = order;
    this.#version += 1;
    this.#tagVersion += 1;
  }
}

/** Keeps a Map in the order of its newest values, so that its first entry is the oldest. */
function moveToEnd(map: Map<string, number>, name: string, order: number): void {
  map.delete(name);
  map.set(name, order);
}

function first(map: ReadonlyMap<string, number>): readonly [string, number] | undefined {
  for (const entry of map) return entry;
  return undefined;
}
