import type { ControlMessage, InvalidateMessage } from '../../../lib/core/control-message';
import type { TaskReport } from '../../../lib/core/task-report';
import type { Position } from '../cache/types';

/** The part of pino that the cache and the control log use. */
export interface Logger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** What a task says of its models and traffic; the log adds who and where the task is and how far it has applied the log. */
export type ModelReport = Pick<TaskReport, 'channels' | 'models' | 'traffic'>;

/** A place in the log with the message that stands there, by which a log that forked is told from one that grew. */
export interface Checkpoint {
  readonly position: Position;
  /** Id of the message at `position`; absent at the start of an epoch. */
  readonly messageId?: string;
}

/**
 * What a follower of the control log keeps up to date. Calls come in log order, each position exactly once, and are
 * synchronous: when one returns, the message holds.
 */
export interface LogState {
  /** Where the follower starts: the last position applied, by this process or by the one before it. */
  checkpoint(): Checkpoint;
  apply(message: ControlMessage, position: Position): void;
  /** The log was lost and goes on from 0 under a new name, and this task missed nothing in between. */
  continueAs(epoch: string): void;
  /**
   * Messages may have been missed: nothing stamped before `from` can be trusted. `apply` follows with everything
   * retained after `from`.
   */
  restartAt(from: Position): void;
  /** Everything in the log up to now has been applied, for the first time since this connection was made. */
  caughtUp(): void;
}

/** Remembers beyond the end of the process which of its own messages may not stand in the log yet. */
export interface MessageKeeper {
  remember(message: InvalidateMessage): void;
  forget(id: string): void;
}

/** How far a task is behind the head of its control log. */
export interface ControlLogLag {
  /** Messages past the position applied here, when the two were last compared. */
  readonly messages: number;
  /** Seconds since a comparison last found nothing missing: no invalidation is missing here for longer than that. */
  readonly seconds: number;
}

/** A region's control log as one edge task follows it. */
export interface ControlLog {
  /** Position up to which every message is applied. */
  position(): Position;
  /** True while the log is followed live; false while (re)connecting. */
  connected(): boolean;
  /** As of the last heartbeat; `undefined` before the log was first caught up with, and when there is none. */
  lag(): ControlLogLag | undefined;
  /** Resolves when the log has been caught up with for the first time; at once when there is no log. */
  readonly ready: Promise<void>;
  /**
   * Appends a message of this task's own to the log: at once when the log is followed live, else as soon as it is.
   * `onApplied` is called once the message has been applied here, or everything that it could have hit is gone.
   */
  append(message: InvalidateMessage, onApplied: () => void): void;
  /** Publishes this task's report now instead of with the next heartbeat; call it when a model's state changes. */
  reportSoon(): void;
  /**
   * Gives messages that are not in the log yet a few seconds to get there, withdraws this task's report and stops
   * following. What got nowhere by then is left to the message keeper; without one it is lost.
   */
  close(): Promise<void>;
}
