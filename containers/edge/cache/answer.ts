import type { Landed, TierTiming } from './flight';
import type { MemorySlot } from './memory-store';
import type { CacheAnswer } from './types';

/** Timings of an answer from memory, shared: looking at the clock twice would take longer than the look-up. */
export const FROM_MEMORY: readonly TierTiming[] = Object.freeze([Object.freeze({ tier: 'memory', ms: 0 })]);

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

/** The answer that an entry gives at `now`, ms since 1970. */
export function answerOf(
  { entry, tier, stored, stale }: Landed,
  timings: readonly TierTiming[],
  collapsed: boolean,
  now: number,
): CacheAnswer {
  const ageMs = Math.max(0, now - entry.storedAt);
  return {
    body: entry.body,
    tags: entry.tags,
    tier,
    collapsed,
    ageSeconds: Math.floor(ageMs / 1000),
    ttlSeconds: Math.max(0, Math.ceil((entry.ttlMs - ageMs) / 1000)),
    stale: stale !== undefined,
    stored,
    timings,
  };
}
