import { setTimeout } from 'node:timers/promises';

/** Time as the stand-in sees it; tests give their own. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  sleep(ms: number): Promise<void>;
}

export const systemClock: Clock = { now: Date.now, sleep: (ms) => setTimeout(ms) };
