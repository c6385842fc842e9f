import type { Registry } from 'prom-client';
import { z } from 'zod';
import { messageOf } from './errors';
import type { Transfers } from './http-cache/transfers';
import { counter, gauge } from './metric-types';

const MINUTE_MS = 60_000;

/** Protection that is asked for at a time: what a process that dies leaves behind. Renewed when half of it is over. */
const LEASE_MINUTES = 10;

/**
 * Longest that a task is protected in one go, min. A deployment, or a smaller number of tasks, waits for it; CloudFormation
 * gives up on a service after three hours.
 */
const MAX_PROTECTION_MINUTES = 30;

/** After the longest protection the task can be taken for so long, whatever is under way, ms. ECS looks every few seconds. */
const PAUSE_MS = 2 * MINUTE_MS;

/** Time until the agent is asked again when it has refused or not answered, ms. */
const RETRY_MS = 15_000;

const CHECK_MS = 1_000;

/** The agent itself gives up on ECS after four seconds. */
const AGENT_TIMEOUT_MS = 5_000;

/**
 * The agent's answers.
 * Source: Amazon ECS developer guide, "Amazon ECS task scale-in protection endpoint".
 */
const AgentAnswer = z.object({
  protection: z.object({ ProtectionEnabled: z.boolean() }).optional(),
  failure: z.object({ Reason: z.string(), Detail: z.string().optional() }).optional(),
  error: z.object({ Code: z.string(), Message: z.string() }).optional(),
});

interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

export interface TaskProtectionOptions {
  /** Value of `ECS_AGENT_URI`. */
  readonly agentUri: string;
  readonly transfers: Pick<Transfers, 'longerThan'>;
  /** Time that a body must have been on its way before its task is protected, ms. */
  readonly afterMs: number;
  readonly log: Log;
  /** ms, monotonic */
  readonly clock?: () => number;
}

/**
 * Keeps ECS from choosing this task when it takes tasks away, while it sends a body that takes longer than leaving does:
 * the load balancer and the service together wait for what is under way for a minute, a large body over a slow line takes
 * longer. Everything else ends in time and never gets here.
 *
 * It is a favour that is asked, not a condition of serving: what the agent refuses is logged and counted.
 */
export class TaskProtection {
  readonly #options: TaskProtectionOptions;
  readonly #clock: () => number;
  /** When the protection that holds began; `undefined` while there is none. */
  #since: number | undefined;
  #leaseEnds = Number.NEGATIVE_INFINITY;
  #pausedUntil = Number.NEGATIVE_INFINITY;
  #retryAt = Number.NEGATIVE_INFINITY;
  #isAsking = false;
  #lastComplaint = '';
  #errors = 0;

  constructor(options: TaskProtectionOptions) {
    this.#options = options;
    this.#clock = options.clock ?? (() => performance.now());
  }

  /** Whether the task is protected, as far as is known. */
  get isProtected(): boolean {
    return this.#since !== undefined && this.#clock() < this.#leaseEnds;
  }

  /** Requests to the agent that failed or were refused. */
  get errors(): number {
    return this.#errors;
  }

  /** Transfers for whose sake the task is, or should be, protected. */
  get longTransfers(): number {
    return this.#options.transfers.longerThan(this.#options.afterMs);
  }

  /** Checks every second until stopped; what has been asked for by then ends by itself. */
  start(): { stop(): void } {
    const timer = setInterval(() => void this.check(), CHECK_MS).unref();
    return { stop: () => clearInterval(timer) };
  }

  /** Asks the agent for what the transfers under way need, where it is not so already. Never rejects. */
  async check(): Promise<void> {
    const now = this.#clock();
    if (this.#isAsking || now < this.#retryAt) return;
    this.#noticeEnd(now);
    if (this.longTransfers === 0 || now < this.#pausedUntil) {
      if (this.#since !== undefined) await this.#release();
      return;
    }
    const since = this.#since ?? now;
    const minutes = Math.min(LEASE_MINUTES, Math.floor((this.#endOf(since) - now) / MINUTE_MS));
    const leaseEnds = now + minutes * MINUTE_MS;
    const isDue = this.#leaseEnds - now <= (LEASE_MINUTES * MINUTE_MS) / 2;
    if (!isDue || leaseEnds < this.#leaseEnds + MINUTE_MS) return;
    if (!(await this.#ask({ ProtectionEnabled: true, ExpiresInMinutes: minutes }))) return;
    if (this.#since === undefined) this.#options.log.info({ minutes }, 'protected from scale-in by long transfers');
    this.#since = since;
    this.#leaseEnds = leaseEnds;
  }

  /** What was not renewed has ended by itself. */
  #noticeEnd(now: number): void {
    if (this.#since === undefined || this.isProtected) return;
    if (now >= this.#endOf(this.#since)) {
      this.#pausedUntil = now + PAUSE_MS;
      this.#options.log.info({ minutes: MAX_PROTECTION_MINUTES }, 'was protected for as long as a task may be');
    }
    this.#since = undefined;
  }

  #endOf(since: number): number {
    return since + MAX_PROTECTION_MINUTES * MINUTE_MS;
  }

  async #release(): Promise<void> {
    if (!(await this.#ask({ ProtectionEnabled: false }))) return;
    this.#since = undefined;
    this.#leaseEnds = Number.NEGATIVE_INFINITY;
    this.#options.log.info({}, 'no longer protected from scale-in');
  }

  /** Whether the agent did as asked. */
  async #ask(state: { ProtectionEnabled: boolean; ExpiresInMinutes?: number }): Promise<boolean> {
    this.#isAsking = true;
    const complaint = await this.#complaintOf(state).finally(() => {
      this.#isAsking = false;
    });
    if (complaint === undefined) {
      this.#lastComplaint = '';
      return true;
    }
    this.#errors += 1;
    this.#retryAt = this.#clock() + RETRY_MS;
    // The same answer every few seconds would hide everything else in the log.
    if (complaint !== this.#lastComplaint) this.#options.log.warn({ ...state, complaint }, 'the ECS agent refused');
    this.#lastComplaint = complaint;
    return false;
  }

  /** Why the agent did not do as asked; `undefined` when it did. */
  async #complaintOf(state: { ProtectionEnabled: boolean }): Promise<string | undefined> {
    try {
      const response = await fetch(`${this.#options.agentUri}/task-protection/v1/state`, {
        method: 'PUT',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(state),
        signal: AbortSignal.timeout(AGENT_TIMEOUT_MS),
      });
      const { protection, failure, error } = AgentAnswer.parse(await response.json());
      if (protection?.ProtectionEnabled === state.ProtectionEnabled) return undefined;
      if (failure) return [failure.Reason, failure.Detail].filter(Boolean).join(': ');
      return error ? `${error.Code}: ${error.Message}` : `HTTP status ${response.status}`;
    } catch (error) {
      return messageOf(error);
    }
  }
}

/** Exports what became of the protection; read at each scrape. */
export function exportTaskProtection(registry: Registry, protection: TaskProtection): void {
  gauge(registry, 'cdn_long_transfers', 'Bodies that have been on their way long enough to protect the task.', () => [
    [{}, protection.longTransfers],
  ]);
  gauge(registry, 'cdn_task_protected', 'Whether the task is protected from scale-in: 1, or 0.', () => [
    [{}, protection.isProtected ? 1 : 0],
  ]);
  counter(registry, 'cdn_task_protection_errors_total', 'Requests to the ECS agent that it did not fulfil.', () => [
    [{}, protection.errors],
  ]);
}
