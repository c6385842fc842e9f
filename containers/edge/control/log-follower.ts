import { setTimeout as sleep } from 'node:timers/promises';
import type { InvalidateMessage } from '../../../lib/core/control-message';
import type { RedisAccess } from '../cache/redis-connection';
import { LogSession } from './log-session';
import { Outbox } from './outbox';
import type { ControlLog, ControlLogLag, Logger, LogState, MessageKeeper, ModelReport } from './types';

/** What a follower needs. Durations in ms. */
export interface ControlLogOptions {
  /** `redis://` or `rediss://`. */
  readonly redisUrl: string;
  readonly redisAccess?: RedisAccess | undefined;
  readonly taskId: string;
  readonly region: string;
  /** Kept up to date by the follower. */
  readonly state: LogState;
  /** Asked at every heartbeat. */
  readonly report: () => ModelReport;
  readonly log: Logger;
  readonly heartbeatMs?: number;
  /** A reply that takes longer means that the connection is dead. */
  readonly replyDeadlineMs?: number;
  readonly maxBackoffMs?: number;
  /** Remembers messages of this task's own until the log has them. */
  readonly keeper?: MessageKeeper | undefined;
  /** How long `close` waits for messages of this task's own to reach the log. */
  readonly flushMs?: number;
}

const FIRST_BACKOFF_MS = 100;
/** Longer than the longest pause between attempts to connect, ms. */
const FLUSH_MS = 3_000;

/** Follows a region's control log until closed: reconnects by itself, replays what was missed, reports. */
export function createControlLog(options: ControlLogOptions): ControlLog {
  return new LogFollower(options);
}

/** The log of an edge service without Redis: it has this service's own messages only, and nobody else reads them. */
export function createNullControlLog(state: Pick<LogState, 'checkpoint' | 'apply'>): ControlLog {
  return {
    append(message, onApplied) {
      const { epoch, seq } = state.checkpoint().position;
      state.apply(message, { epoch, seq: seq + 1 });
      onApplied();
    },
    ready: Promise.resolve(),
    position: () => state.checkpoint().position,
    connected: () => false,
    lag: () => undefined,
    reportSoon: () => undefined,
    close: async () => undefined,
  };
}

class LogFollower implements ControlLog {
  readonly ready: Promise<void>;
  readonly #options: ControlLogOptions;
  readonly #state: LogState;
  readonly #startedAt = new Date().toISOString();
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;
  readonly #outbox: Outbox;
  #becomeReady: () => void = () => undefined;
  #session: LogSession | undefined;
  #missing = 0;
  /** When a comparison last found nothing missing, by `performance.now()`. */
  #completeAt: number | undefined;

  constructor(options: ControlLogOptions) {
    this.#options = options;
    this.#state = options.state;
    this.#outbox = new Outbox(options.keeper);
    this.ready = new Promise((resolve) => {
      this.#becomeReady = resolve;
    });
    this.#running = this.#run();
  }

  position() {
    return this.#state.checkpoint().position;
  }

  connected(): boolean {
    return this.#session?.live ?? false;
  }

  lag(): ControlLogLag | undefined {
    if (this.#completeAt === undefined) return undefined;
    return { messages: this.#missing, seconds: (performance.now() - this.#completeAt) / 1000 };
  }

  append(message: InvalidateMessage, onApplied: () => void): void {
    this.#outbox.add(message, onApplied);
    void this.#session?.sendOutgoing();
  }

  reportSoon(): void {
    void this.#session?.beat();
  }

  async close(): Promise<void> {
    const enough = new AbortController();
    const deadline = sleep(this.#options.flushMs ?? FLUSH_MS, undefined, { signal: enough.signal });
    await Promise.race([this.#outbox.appended(), deadline.catch(() => undefined)]);
    enough.abort();
    this.#closing.abort();
    await this.#session?.end();
    await this.#running;
    this.#becomeReady();
  }

  async #run(): Promise<void> {
    const { log, maxBackoffMs = 2_000 } = this.#options;
    const closing = this.#closing.signal;
    let failures = 0;
    while (!closing.aborted) {
      try {
        await this.#followOnce(() => {
          if (failures > 0) log.info(this.position(), 'control log caught up again');
          failures = 0;
        });
      } catch (error) {
        if (closing.aborted) return;
        if (failures === 0) log.warn({ err: error }, 'control log lost; connecting again');
        failures += 1;
      }
      const backoffMs = Math.min(maxBackoffMs, FIRST_BACKOFF_MS * 2 ** failures) * (0.5 + Math.random() / 2);
      await sleep(backoffMs, undefined, { signal: closing }).catch(() => undefined);
    }
  }

  /** Follows over one connection until it is lost; rejects with the reason. */
  async #followOnce(onCaughtUp: () => void): Promise<never> {
    const session = new LogSession({
      ...this.#options,
      outbox: this.#outbox,
      onCompared: (missing) => {
        this.#missing = missing;
        if (missing === 0) this.#completeAt = performance.now();
      },
      startedAt: this.#startedAt,
      heartbeatMs: this.#options.heartbeatMs ?? 1_000,
      replyDeadlineMs: this.#options.replyDeadlineMs ?? 3_000,
    });
    this.#session = session;
    try {
      return await session.follow(this.#closing.signal, () => {
        onCaughtUp();
        this.#becomeReady();
      });
    } finally {
      this.#session = undefined;
      session.discard();
    }
  }
}
