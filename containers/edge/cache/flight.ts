import { type Answers, FROM_MEMORY, type Landed, type TierTiming } from './answer';
import type { CacheCounters } from './stats';
import { TierSearch } from './tier-search';
import type { Tiers } from './tiers';
import type {
  AnswerReceiver,
  CacheEntry,
  FillDemand,
  FillPolicy,
  Found,
  Position,
  StoredTier,
  Tier,
  Waiter,
} from './types';

/** Where a fill stands among the invalidations. */
export interface FillPlace {
  readonly stamp: Position;
  readonly tagVersion: number;
}

/** What the flights of one cache share. */
export interface FlightParts {
  readonly tiers: Tiers;
  readonly counters: CacheCounters;
  readonly answers: Answers;
  readonly clock: () => number;
  /** Called when a flight is over, before anybody is answered: what it found may be invalidated from then on. */
  readonly onSettled: (flight: Flight) => void;
}

/** Who set flights off, and goes on when the search of each is over. */
export interface FlightGroup {
  readonly policy: FillPolicy;
  searched(flight: Flight): void;
}

/** Somebody for whom a flight is made. */
export interface Caller {
  readonly receiver: AnswerReceiver;
  readonly waiter: Waiter | undefined;
}

/** Whoever waits for a flight that another has set off. */
interface Passenger {
  readonly receiver: AnswerReceiver;
  readonly joinedAt: number;
}

/**
 * One search for a key below the memory tier, shared by every request that asks for the key meanwhile. Until the
 * origin is asked, any request may join: an entry of a lower tier is checked when it is found, after all of them have
 * arrived. Once the origin has been asked, only requests may that no invalidation separates from it.
 */
export class Flight extends TierSearch implements FillDemand {
  readonly #parts: FlightParts;
  readonly #group: FlightGroup;
  /** Where the origin was asked; `undefined` before it is. */
  filling: FillPlace | undefined = undefined;
  /** The newest valid entry that was found past its freshness. */
  stale: Found | undefined;
  settled = false;
  readonly #isRefresh: boolean;
  #leader: AnswerReceiver | undefined;
  #timings: readonly TierTiming[] = FROM_MEMORY;
  #askedAt = 0;
  #passengers: Passenger[] | undefined = undefined;
  #deadline = Number.NEGATIVE_INFINITY;
  /** Of those who wait and can hang up. */
  #signals: Pick<AbortSignal, 'aborted'>[] | undefined = undefined;
  #isForGood = false;
  #onOver: (() => void) | undefined = undefined;

  /**
   * Without a `leader` the flight is a refresh: it has somebody's stale answer behind it and looks for a fresh one only.
   */
  constructor(
    key: string,
    stale: Found | undefined,
    parts: FlightParts,
    group: FlightGroup,
    leader: Caller | undefined,
  ) {
    super(key, parts.tiers);
    this.#parts = parts;
    this.#group = group;
    this.stale = stale;
    this.#isRefresh = leader === undefined;
    this.#leader = leader?.receiver;
    this.#await(leader?.waiter);
  }

  /** Answers a further request when the flight is over. */
  join({ receiver, waiter }: Caller): void {
    this.#await(waiter);
    const passenger = { receiver, joinedAt: performance.now() };
    if (this.#passengers === undefined) this.#passengers = [passenger];
    else this.#passengers.push(passenger);
  }

  get deadline(): number {
    return this.#deadline;
  }

  isWanted(): boolean {
    return this.#isForGood || this.#signals?.some((signal) => !signal.aborted) === true;
  }

  close(): void {
    this.#parts.onSettled(this);
  }

  /** Resolves when the flight is over, however it ended. */
  over(): Promise<void> {
    return new Promise((resolve) => {
      const onOver = this.#onOver;
      this.#onOver = () => {
        onOver?.();
        resolve();
      };
    });
  }

  /** Notes that asking `tier` took `ms`. */
  took(tier: Tier, ms: number): void {
    this.#timings = [...this.#timings, { tier, ms }];
  }

  land(landed: Landed): void {
    const { answers } = this.#parts;
    const leader = this.#leader;
    const passengers = this.#passengers;
    this.#settle();
    if (leader !== undefined) answers.give(leader, landed, this.#timings, false);
    for (const { receiver, joinedAt } of passengers ?? []) {
      const timings = [...FROM_MEMORY, { tier: landed.tier, ms: performance.now() - joinedAt }];
      answers.give(receiver, landed, timings, true);
    }
  }

  crash(reason: unknown): void {
    const leader = this.#leader;
    const passengers = this.#passengers;
    this.#settle();
    const { answers } = this.#parts;
    if (leader !== undefined) answers.refuse(leader, reason);
    for (const { receiver } of passengers ?? []) answers.refuse(receiver, reason);
  }

  protected override asks(): void {
    this.#askedAt = performance.now();
  }

  protected override takes(entry: CacheEntry | undefined, tier: StoredTier): boolean {
    this.took(tier, performance.now() - this.#askedAt);
    if (entry === undefined) return false;
    const { counters, clock } = this.#parts;
    if (clock() >= entry.storedAt + entry.ttlMs) {
      if (!this.stale || this.stale.entry.storedAt < entry.storedAt) this.stale = { entry, tier };
      return false;
    }
    counters.hit(tier);
    this.stale = undefined;
    this.land({
      entry: this.tiers.promote(entry, tier, this.#group.policy.tiers),
      tier,
      stored: true,
      stale: undefined,
    });
    this.#group.searched(this);
    return true;
  }

  protected override notTaken(): void {
    const { stale } = this;
    if (stale !== undefined && !this.#isRefresh && this.#mayAnswer(stale.entry)) {
      if (stale.tier !== 'memory') this.tiers.promote(stale.entry, stale.tier, this.#group.policy.tiers);
      this.#parts.counters.hit(stale.tier);
      this.land({ ...stale, stored: true, stale: 'revalidating' });
    }
    this.#group.searched(this);
  }

  #mayAnswer({ storedAt, ttlMs, staleWhileRevalidateMs }: CacheEntry): boolean {
    return this.#parts.clock() < storedAt + ttlMs + staleWhileRevalidateMs;
  }

  #await(waiter: Waiter | undefined): void {
    const deadline = waiter?.deadline ?? Number.POSITIVE_INFINITY;
    if (deadline > this.#deadline) this.#deadline = deadline;
    const signal = waiter?.signal;
    if (signal === undefined) this.#isForGood = true;
    else if (this.#signals === undefined) this.#signals = [signal];
    else this.#signals.push(signal);
  }

  #settle(): void {
    this.settled = true;
    this.#parts.onSettled(this);
    // A table that has grown out of use may keep dead flights alive for a while, but not what hangs on them.
    this.#leader = undefined;
    this.#passengers = undefined;
    this.#onOver?.();
    this.#onOver = undefined;
  }
}
