/** Time as the stand-in sees it, so that tests decide when a replication is due. */
export interface Clock {
  now(): Date;
  /** Runs `task` after `delayMs` milliseconds; the returned function cancels it. */
  schedule(delayMs: number, task: () => void): () => void;
}

/** The machine's clock. Its timers do not keep the process alive. */
export const systemClock: Clock = {
  now: () => new Date(),
  schedule(delayMs, task) {
    const timer = setTimeout(task, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
};
