import type { MemorySlot } from './memory-store';
import type { CacheCounters } from './stats';
import { throwApart } from './throw-apart';
import type { AnswerReceiver, CacheAnswer, CacheEntry, StaleReason, Tier } from './types';

/** What a look-up brought back: an entry and where it was found. */
export interface Landed {
  readonly entry: CacheEntry;
  readonly tier: Tier;
  readonly stored: boolean;
  /** Why it is given past its freshness. */
  readonly stale: StaleReason | undefined;
}

/** Time one tier took, ms. */
export interface TierTiming {
  readonly tier: Tier;
  readonly ms: number;
}

/** Timings of an answer from memory, shared: looking at the clock twice would take longer than the look-up. */
export const FROM_MEMORY: readonly TierTiming[] = Object.freeze([Object.freeze({ tier: 'memory', ms: 0 })]);

/** Makes answers of what was found, and counts the stale ones. */
export class Answers {
  readonly #counters: CacheCounters;
  readonly #clock: () => number;

  constructor(counters: CacheCounters, clock: () => number) {
    this.#counters = counters;
    this.#clock = clock;
  }

  /** The answer that what was found gives now. */
  of({ entry, tier, stored, stale }: Landed, timings: readonly TierTiming[], collapsed: boolean): CacheAnswer {
    if (stale !== undefined) this.#counters.servedStale(stale);
    const ageMs = Math.max(0, this.#clock() - entry.storedAt);
    return {
      body: entry.body,
      tags: entry.tags,
      tier,
      collapsed,
      ageSeconds: Math.floor(ageMs / 1000),
      ttlSeconds: remainingSeconds(entry.ttlMs - ageMs, stale !== undefined),
      stale: stale !== undefined,
      stored,
      timings,
    };
  }

  /** Hands the answer over. */
  give(receiver: AnswerReceiver, landed: Landed, timings: readonly TierTiming[], collapsed: boolean): void {
    const answer = this.of(landed, timings, collapsed);
    try {
      receiver.answered(answer);
    } catch (error) {
      throwApart(error);
    }
  }

  /** Hands a failure over. */
  refuse(receiver: AnswerReceiver, reason: unknown): void {
    try {
      receiver.failed(reason);
    } catch (error) {
      throwApart(error);
    }
  }
}

function remainingSeconds(ms: number, isStale: boolean): number {
  return isStale ? Math.floor(ms / 1000) : Math.max(0, Math.ceil(ms / 1000));
}

/** The answer that a fresh entry in memory gives at `now`, ms since 1970. */
export function freshMemoryAnswer({ entry, freshUntil }: MemorySlot, now: number): CacheAnswer {
  const ageMs = now > entry.storedAt ? now - entry.storedAt : 0;
  return {
    body: entry.body,
    tags: entry.tags,
    tier: 'memory',
    collapsed: false,
    ageSeconds: Math.floor(ageMs / 1000),
    ttlSeconds: Math.ceil((freshUntil - entry.storedAt - ageMs) / 1000),
    stale: false,
    stored: true,
    timings: FROM_MEMORY,
  };
}
