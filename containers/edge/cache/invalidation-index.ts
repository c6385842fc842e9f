import type { InvalidationTargets } from '../../../lib/core/control-message';
import { globMatcher } from '../../../lib/core/glob';
import type { CacheEntry, Position } from './types';

/** An invalidation of everything whose key a predicate accepts, checked when an entry is read. */
interface Ban {
  readonly kind: 'prefix' | 'glob';
  readonly text: string;
  readonly order: number;
  readonly matches: (key: string) => boolean;
}

/** An epoch that was followed without a gap: its position `seq` stands at `base + seq` in the order of this index. */
interface Followed {
  readonly epoch: string;
  readonly base: number;
  /** Last position of the epoch; open while it is the current one. */
  end: number;
}

/** The index as plain data, for the journal beside the disk tier. */
export interface IndexSnapshot {
  readonly chain: readonly { readonly epoch: string; readonly base: number; readonly end: number | null }[];
  readonly applied: Position;
  readonly floor: number;
  readonly keys: readonly (readonly [string, number])[];
  readonly tags: readonly (readonly [string, number])[];
  readonly bans: readonly { readonly kind: 'prefix' | 'glob'; readonly text: string; readonly order: number }[];
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

/**
 * Which entries the invalidations seen by this process leave valid. Names map to the newest position that invalidated
 * them, so applying costs O(names in the message), whatever the number of cached entries, and checking an entry costs
 * one look-up per tag. Everything stamped below the floor, or in an epoch that was not followed, is invalid.
 */
export class InvalidationIndex {
  readonly #limits: IndexLimits;
  #chain: Followed[];
  #applied: Position;
  #floor = 0;
  readonly #keys = new Map<string, number>();
  readonly #tags = new Map<string, number>();
  #bans: Ban[] = [];
  #version = 0;
  /** Version at which an entry was last found valid; it stays so until the version changes. */
  readonly #foundValidAt = new WeakMap<CacheEntry, number>();

  constructor(start: Position, limits: IndexLimits = DEFAULT_LIMITS) {
    this.#limits = limits;
    this.#applied = start;
    this.#chain = [{ epoch: start.epoch, base: 0, end: Number.POSITIVE_INFINITY }];
    this.#floor = start.seq;
  }

  /** Position up to which every message is applied: the stamp of a fill that begins now. */
  position(): Position {
    return this.#applied;
  }

  /** Changes whenever an entry that was valid may have become invalid. */
  version(): number {
    return this.#version;
  }

  /** Applies an invalidation that stands at `position`. Positions of one epoch must come in order. */
  invalidate(targets: InvalidationTargets, position: Position): void {
    this.advance(position);
    const order = this.#orderOf(position);
    if (order === undefined) return;
    for (const key of targets.keys) moveToEnd(this.#keys, key, order);
    for (const tag of targets.tags) moveToEnd(this.#tags, tag.toLowerCase(), order);
    for (const prefix of targets.prefixes) this.#ban('prefix', prefix, order);
    for (const pattern of targets.patterns) this.#ban('glob', pattern, order);
    this.#version += 1;
    this.#forgetOldest();
  }

  /** Moves the position past a message that invalidates nothing. */
  advance(position: Position): void {
    if (position.epoch !== this.#applied.epoch || position.seq <= this.#applied.seq) {
      throw new RangeError(
        `control log position ${position.epoch}/${position.seq} does not follow ${this.#applied.epoch}/${this.#applied.seq}`,
      );
    }
    this.#applied = position;
  }

  /** The log goes on from 0 under a new name and nothing was missed in between: everything known keeps its place. */
  continueAs(epoch: string): void {
    const current = this.#current();
    current.end = this.#applied.seq;
    this.#chain.push({ epoch, base: current.base + current.end, end: Number.POSITIVE_INFINITY });
    this.#applied = { epoch, seq: 0 };
    this.#version += 1;
    this.#forgetOldest();
  }

  /** Messages may have been missed: forgets everything and trusts only what is stamped at `from` or later. */
  restartAt(from: Position): void {
    this.#chain = [{ epoch: from.epoch, base: 0, end: Number.POSITIVE_INFINITY }];
    this.#applied = from;
    this.#floor = from.seq;
    this.#keys.clear();
    this.#tags.clear();
    this.#bans = [];
    this.#version += 1;
  }

  /** Whether no invalidation that is known stands past the entry's stamp. */
  isValid(entry: CacheEntry): boolean {
    if (this.#foundValidAt.get(entry) === this.#version) return true;
    const order = this.#orderOf(entry.stamp);
    if (order === undefined || order < this.#floor || this.#isInvalidatedPast(order, entry)) return false;
    this.#foundValidAt.set(entry, this.#version);
    return true;
  }

  snapshot(): IndexSnapshot {
    return {
      chain: this.#chain.map(({ epoch, base, end }) => ({ epoch, base, end: Number.isFinite(end) ? end : null })),
      applied: this.#applied,
      floor: this.#floor,
      keys: [...this.#keys],
      tags: [...this.#tags],
      bans: this.#bans.map(({ kind, text, order }) => ({ kind, text, order })),
    };
  }

  /** Takes the place of everything known; for an index that has not been used yet. */
  restore(snapshot: IndexSnapshot): void {
    this.restartAt(snapshot.applied);
    this.#chain = snapshot.chain.map(({ epoch, base, end }) => ({ epoch, base, end: end ?? Number.POSITIVE_INFINITY }));
    this.#floor = snapshot.floor;
    for (const [key, order] of snapshot.keys) this.#keys.set(key, order);
    for (const [tag, order] of snapshot.tags) this.#tags.set(tag, order);
    for (const { kind, text, order } of snapshot.bans) this.#ban(kind, text, order);
  }

  #current(): Followed {
    const current = this.#chain.at(-1);
    if (!current) throw new Error('the chain of epochs is empty');
    return current;
  }

  /** Place of a position in this index's single order; `undefined` where it cannot be told. */
  #orderOf({ epoch, seq }: Position): number | undefined {
    // Newest first: nearly every stamp is of the current epoch.
    for (let i = this.#chain.length - 1; i >= 0; i--) {
      const followed = this.#chain[i];
      if (followed?.epoch === epoch) return seq <= followed.end ? followed.base + seq : undefined;
    }
    return undefined;
  }

  #isInvalidatedPast(order: number, { key, tags }: CacheEntry): boolean {
    if ((this.#keys.get(key) ?? 0) > order) return true;
    if (tags.some((tag) => (this.#tags.get(tag.toLowerCase()) ?? 0) > order)) return true;
    for (let i = this.#bans.length - 1; i >= 0; i--) {
      const ban = this.#bans[i];
      if (!ban || ban.order <= order) return false;
      if (ban.matches(key)) return true;
    }
    return false;
  }

  #ban(kind: Ban['kind'], text: string, order: number): void {
    const matches = kind === 'prefix' ? (key: string) => key.startsWith(text) : globMatcher(text);
    this.#bans = this.#bans.filter((ban) => ban.kind !== kind || ban.text !== text);
    this.#bans.push({ kind, text, order, matches });
  }

  /** Keeps memory bounded: what is forgotten is made up for by distrusting every entry older than it. */
  #forgetOldest(): void {
    while (this.#chain.length > this.#limits.epochs) {
      this.#chain.shift();
      this.#raiseFloor(this.#chain[0]?.base);
    }
    while (this.#bans.length > this.#limits.bans) this.#raiseFloor(this.#bans.shift()?.order);
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
    this.#floor = Math.max(this.#floor, order ?? 0);
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
