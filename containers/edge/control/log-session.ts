import { ControlMessage } from '../../../lib/core/control-message';
import type { RedisAccess } from '../cache/redis-connection';
import { type Announcement, LogConnection, type LogEntry, type LogPage } from './log-connection';
import type { Outbox } from './outbox';
import type { Logger, LogState, ModelReport } from './types';

/** What one session needs of its follower. Durations in ms. */
export interface LogSessionOptions {
  readonly redisUrl: string;
  readonly redisAccess?: RedisAccess | undefined;
  readonly taskId: string;
  readonly region: string;
  readonly startedAt: string;
  readonly state: LogState;
  readonly outbox: Outbox;
  readonly report: () => ModelReport;
  /** Told how many messages of the log are not applied here, whenever that has been compared. */
  readonly onCompared: (missing: number) => void;
  readonly log: Logger;
  readonly heartbeatMs: number;
  readonly replyDeadlineMs: number;
}

/** A region's control log followed over one connection: from subscribing to the loss of the connection. */
export class LogSession {
  readonly #options: LogSessionOptions;
  readonly #state: LogState;
  #connection: LogConnection | undefined;
  /** Announcements not yet looked at, in the order of arrival. */
  #inbox: Announcement[] = [];
  #catchingUp = false;
  #beating = false;
  #beatAgain = false;
  #ended = false;
  /**
   * True once everything up to now has been applied over this connection. As long as it stands, nothing has been missed
   * since, even if Redis lost the log itself.
   */
  live = false;

  constructor(options: LogSessionOptions) {
    this.#options = options;
    this.#state = options.state;
  }

  /** Follows until the connection is lost; rejects with the reason. Call once. */
  async follow(closing: AbortSignal, onCaughtUp: () => void): Promise<never> {
    const { redisUrl, redisAccess, replyDeadlineMs, heartbeatMs } = this.#options;
    // Subscribed before the first read, so that nothing falls between the two.
    const connection = await LogConnection.open(
      redisUrl,
      replyDeadlineMs,
      (announcement) => {
        this.#inbox.push(announcement);
        this.#drainInbox();
      },
      redisAccess,
    );
    this.#connection = connection;
    closing.throwIfAborted();
    await Promise.race([this.#catchUp(connection), connection.lost]);
    onCaughtUp();
    const heartbeat = setInterval(() => void this.beat(), heartbeatMs);
    try {
      void this.beat();
      return await connection.lost;
    } finally {
      clearInterval(heartbeat);
    }
  }

  /** Appends what waits in the outbox, once everything up to now has been applied. */
  async sendOutgoing(): Promise<void> {
    const connection = this.#connection;
    if (!connection || !this.live) return;
    const { outbox } = this.#options;
    try {
      await outbox.send((message) => connection.append(message));
      outbox.reached(this.#state.checkpoint().position);
    } catch (error) {
      connection.abandon(asError(error));
    }
  }

  /** Withdraws the report, as far as the connection still allows it, and ends the session. */
  async end(): Promise<void> {
    this.#ended = true;
    await this.#connection?.withdraw(this.#options.taskId).catch(() => undefined);
    this.discard();
  }

  /** Ends the session without a word to anybody. */
  discard(): void {
    this.#ended = true;
    this.live = false;
    this.#connection?.close();
  }

  /** Compares the log with what is applied, and reports; once more if asked again meanwhile. */
  async beat(): Promise<void> {
    if (this.#beating || !this.#connection || !this.live) {
      this.#beatAgain = true;
      return;
    }
    this.#beating = true;
    try {
      do {
        this.#beatAgain = false;
        await this.#checkAndReport(this.#connection);
      } while (this.#beatAgain && !this.#ended);
    } catch (error) {
      this.#connection.abandon(asError(error));
    } finally {
      this.#beating = false;
    }
  }

  async #checkAndReport(connection: LogConnection): Promise<void> {
    const { epoch, head } = await connection.head();
    const { position } = this.#state.checkpoint();
    this.#options.onCompared(epoch === position.epoch ? Math.max(0, head - position.seq) : head);
    if ((epoch !== position.epoch || head !== position.seq) && !this.#catchingUp) await this.#catchUp(connection);
    if (this.#ended) return;
    this.#options.outbox.reached(this.#state.checkpoint().position);
    if (this.#options.outbox.hasUnsent()) await this.sendOutgoing();
    const { taskId, region, startedAt, report } = this.#options;
    const applied = this.#state.checkpoint().position;
    const { channels, models, traffic } = report();
    await connection.report(taskId, {
      taskId,
      region,
      startedAt,
      epoch: applied.epoch,
      position: applied.seq,
      channels,
      models,
      ...(traffic && { traffic }),
    });
  }

  /** Applies announcements; one that does not continue the log is settled by reading the log itself. */
  #drainInbox(): void {
    if (this.#catchingUp || !this.live || !this.#connection) return;
    const connection = this.#connection;
    try {
      if (this.#applyAnnounced()) return;
      this.#catchUp(connection).catch((error: unknown) => connection.abandon(asError(error)));
    } catch (error) {
      connection.abandon(asError(error));
    }
  }

  /**
   * Applies announcements as long as each continues what is applied; true when none is left. Only while live: then
   * every append has been announced here, so a log that begins goes on where the one before it ended.
   */
  #applyAnnounced(): boolean {
    for (let next = this.#inbox[0]; next; next = this.#inbox[0]) {
      const { epoch, seq } = this.#state.checkpoint().position;
      const isNewLog = next.epoch !== epoch;
      if (next.seq > (isNewLog ? 1 : seq + 1)) return false;
      this.#inbox.shift();
      if (isNewLog) this.#state.continueAs(next.epoch);
      else if (next.seq <= seq) continue;
      this.#apply(next, next.epoch);
      void this.beat();
    }
    return true;
  }

  /** Reads the log from where this task stands until nothing is left. */
  async #catchUp(connection: LogConnection): Promise<void> {
    this.#catchingUp = true;
    try {
      for (let done = false; !done; ) {
        const announced = this.#inbox.length;
        const page = await connection.read(this.#state.checkpoint().position.seq);
        // Announced before the read was sent, so covered by it, unless it was of a log that is gone by now. Without a
        // claim to have missed nothing that does not matter: the logs before this one are given up as a whole.
        if (!this.live) this.#inbox.splice(0, announced);
        done = await this.#takePage(page, connection);
      }
    } finally {
      this.#catchingUp = false;
    }
    const isFirstTime = !this.live;
    this.live = true;
    this.#options.onCompared(0);
    if (isFirstTime) {
      this.#state.caughtUp();
      this.#options.outbox.startAgain();
    }
    this.#drainInbox();
    if (isFirstTime) void this.sendOutgoing();
  }

  /** Applies one page; true when it reached the head of the log. */
  async #takePage(page: LogPage, connection: LogConnection): Promise<boolean> {
    const { position, messageId } = this.#state.checkpoint();
    if (page.epoch !== position.epoch) {
      this.#changeLog(page.epoch, position.epoch);
      return false;
    }
    const anchor = page.entries.find((entry) => entry.seq === position.seq);
    const isForked = anchor !== undefined && messageId !== undefined && idOf(anchor) !== messageId;
    if (isForked || page.head < position.seq) {
      // A failover lost appends that were announced: entries stamped with them would pass for newer than they are.
      this.#options.log.warn({ position, head: page.head }, 'control log went backwards; starting a new one');
      this.live = false;
      await connection.replace(page.epoch);
      return false;
    }
    const isTrimmedPast = messageId !== undefined && anchor === undefined;
    for (const entry of page.entries) {
      const expected = this.#state.checkpoint().position.seq + 1;
      if (entry.seq < expected) continue;
      const missedSome = entry.seq > expected || (isTrimmedPast && entry === page.entries[0]);
      if (missedSome) this.#state.restartAt({ epoch: page.epoch, seq: entry.seq - 1 });
      this.#apply(entry, page.epoch);
    }
    const applied = this.#state.checkpoint().position.seq;
    if (applied === position.seq && applied < page.head) this.#state.restartAt({ epoch: page.epoch, seq: page.head });
    const reachedHead = this.#state.checkpoint().position.seq >= page.head;
    // Should the log be lost before the rest is read, the rest is missed.
    if (!reachedHead) this.live = false;
    return reachedHead;
  }

  /** Leaves the log `from`, which is no more, for the log `to` that was read in its place. */
  #changeLog(to: string, from: string): void {
    if (this.live && this.#applyAnnounced()) {
      // Else the announcements have led to this log, or to one that is newer still.
      if (this.#state.checkpoint().position.epoch === from) this.#state.continueAs(to);
      return;
    }
    this.live = false;
    this.#state.restartAt({ epoch: to, seq: 0 });
  }

  #apply({ seq, message }: LogEntry, epoch: string): void {
    const parsed = ControlMessage.safeParse(parseJson(message));
    if (parsed.success) {
      this.#state.apply(parsed.data, { epoch, seq });
      this.#options.outbox.applied(parsed.data.id);
      return;
    }
    // It may be an invalidation in a form that this version does not know yet: as good as missed.
    this.#options.log.error({ seq, message, err: parsed.error }, 'control message not understood; dropping the caches');
    this.#state.restartAt({ epoch, seq });
  }
}

function idOf({ message }: LogEntry): string | undefined {
  const parsed = ControlMessage.safeParse(parseJson(message));
  return parsed.success ? parsed.data.id : undefined;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
