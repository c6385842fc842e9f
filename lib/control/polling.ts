import { setTimeout as delay } from 'node:timers/promises';
import { ControlError, reasonOf } from './errors';

const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1_000;
const PAUSE_GROWTH = 1.5;

/** Time as the control operations see it, so that tests need not wait. */
export interface Clock {
  /** Milliseconds on a clock that never goes back. */
  now(): number;
  /** @throws the signal's reason when it is aborted first */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  sleep: async (ms, signal) => {
    await delay(ms, undefined, signal ? { signal } : {});
  },
};

/** How long, and for whom, something is waited for. */
export interface Patience {
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  /** Says what is missing when the time is over. */
  readonly describe: () => string;
}

/**
 * Asks `probe` until it answers, with pauses growing from 50 ms to 1 s. A probe that throws something other than a
 * `ControlError` is asked again: a service that is away for a moment is no reason to give up.
 * @throws ControlError when the time is over, with `describe()` and the last failure; or what the probe refused with
 */
export async function pollUntil<T>(probe: () => Promise<T | undefined>, patience: Patience): Promise<T> {
  const { clock, timeoutMs, signal, describe } = patience;
  const start = clock.now();
  let pauseMs = FIRST_PAUSE_MS;
  for (;;) {
    let failure: unknown;
    try {
      const answer = await probe();
      if (answer !== undefined) return answer;
    } catch (error) {
      if (error instanceof ControlError) throw error;
      failure = error;
    }
    signal?.throwIfAborted();
    if (clock.now() - start >= timeoutMs) {
      const last = failure === undefined ? '' : ` (last failure: ${reasonOf(failure)})`;
      throw new ControlError(`${describe()} after ${timeoutMs / 1000} s${last}`);
    }
    await clock.sleep(pauseMs, signal);
    pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * PAUSE_GROWTH);
  }
}
