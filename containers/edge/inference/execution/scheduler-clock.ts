import { performance } from 'node:perf_hooks';

/** The clock and the turns of the event loop that a scheduler lives by. */
export interface SchedulerClock {
  /** Monotonic time, ms. */
  now(): number;
  /** Wall-clock time, ms since 1970; for statistics only. */
  wallClock(): number;
  /** Calls back once what has arrived in this turn of the event loop has been read. */
  endOfTurn(callback: () => void): void;
  /** Calls back after `ms`. */
  after(ms: number, callback: () => void): void;
  /** Share of its time that the event loop has been busy since the last call, 0 to 1. */
  loopUtilisation(): number;
}

/** The process's own clock and event loop. */
export function systemClock(): SchedulerClock {
  let loop = performance.eventLoopUtilization();
  return {
    now: () => performance.now(),
    wallClock: () => Date.now(),
    endOfTurn: (callback) => void setImmediate(callback),
    after: (ms, callback) => void setTimeout(callback, ms).unref(),
    loopUtilisation() {
      const before = loop;
      loop = performance.eventLoopUtilization();
      return performance.eventLoopUtilization(loop, before).utilization;
    },
  };
}
