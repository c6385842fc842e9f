import { randomUUID } from 'node:crypto';
import { createClient } from 'redis';
import { z } from 'zod';
import {
  APPEND_SCRIPT,
  CONTROL_KEYS,
  CONTROL_LOG_LENGTH,
  ENSURE_LOG_SCRIPT,
  TASK_LIVENESS_MS,
} from '../../../lib/core/control-log';
import type { ControlMessage } from '../../../lib/core/control-message';
import {
  loginOf,
  ownerUrl,
  type RedisAccess,
  type RedisOptions,
  redisOptions,
  renewLogin,
  withinDeadline,
} from '../cache/redis-connection';
import type { Position } from '../cache/types';

/** A message as the log holds it, not yet parsed. */
export interface LogEntry {
  readonly seq: number;
  /** JSON of a ControlMessage. */
  readonly message: string;
}

/** An append, as it is announced. */
export interface Announcement extends LogEntry {
  readonly epoch: string;
}

/** A stretch of the log with the state of the log at the moment it was read. */
export interface LogPage {
  readonly epoch: string;
  readonly head: number;
  readonly entries: readonly LogEntry[];
}

const PAGE_LENGTH = 1_000;

const EnsureReply = z.tuple([z.string(), z.coerce.number<string>().int().min(0)]);
const AppendReply = z.tuple([z.string(), z.coerce.number<string>().int().positive(), z.literal([0, 1])]);
const StreamEntry = z.tuple([z.string().regex(/^\d+-0$/), z.tuple([z.literal('m'), z.string()])]);
const PageReply = z.tuple([EnsureReply, z.array(StreamEntry)]);
const AnnouncementText = z.strictObject({ epoch: z.string(), position: z.int().positive(), message: z.string() });

/**
 * KEYS: epoch, head, stream, seen. ARGV: epoch to end, candidate epoch. Starts a new log in place of one whose
 * positions cannot be trusted, unless somebody has already.
 */
const REPLACE_LOG_SCRIPT = `
if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[2])
  redis.call('SET', KEYS[2], '0')
  redis.call('DEL', KEYS[3], KEYS[4])
end
return redis.call('GET', KEYS[1])
`;

/** KEYS: tasks. ARGV: task id, report as JSON, age in ms beyond which others' reports are removed. */
const REPORT_SCRIPT = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], ARGV[1], string.format('{"at":%.0f,"report":%s}', now, ARGV[2]))
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local at = tonumber(string.match(all[i + 1], '^{"at":(%d+)'))
  if not at or now - at > tonumber(ARGV[3]) then redis.call('HDEL', KEYS[1], all[i]) end
end
`;

/**
 * One connection to a region's control log. Announcements and replies come over the same connection (RESP3), so an
 * announcement made before a command was run always arrives before that command's reply, and a connection that never
 * broke has missed none.
 */
export class LogConnection {
  readonly #client: ReturnType<typeof createClient>;
  readonly #replyDeadlineMs: number;
  readonly #renewal: NodeJS.Timeout | undefined;
  /** Rejects when the connection is lost or given up; never resolves. */
  readonly lost: Promise<never>;
  #giveUp: (reason: Error) => void = () => undefined;

  /** Connects and subscribes. Rejects when either fails or takes longer than `replyDeadlineMs`. */
  static async open(
    url: string,
    replyDeadlineMs: number,
    onAnnouncement: (announcement: Announcement) => void,
    access: RedisAccess = {},
  ): Promise<LogConnection> {
    const options = redisOptions(url, loginOf(access));
    // One node has the whole log, and announces on it in the order of the appends.
    const owner = access.cluster ? await ownerUrl(CONTROL_KEYS.epoch, options, replyDeadlineMs) : url;
    const connection = new LogConnection({ ...options, url: owner }, replyDeadlineMs);
    try {
      await connection.#start(onAnnouncement);
      return connection;
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  private constructor(options: RedisOptions, replyDeadlineMs: number) {
    this.#replyDeadlineMs = replyDeadlineMs;
    this.#client = createClient({
      ...options,
      RESP: 3,
      disableOfflineQueue: true,
      commandOptions: { timeout: 0 },
      // A reconnected client would hide that announcements may have been missed; the follower makes a new one.
      socket: { reconnectStrategy: false, connectTimeout: replyDeadlineMs },
    });
    this.#renewal = renewLogin(
      options,
      () => [this.#client],
      (error) => this.#giveUp(error),
    );
    this.lost = new Promise((_, reject) => {
      this.#giveUp = reject;
    });
    this.lost.catch(() => undefined);
    this.#client.on('error', (error: Error) => this.#giveUp(error));
    this.#client.on('end', () => this.#giveUp(new Error('the connection to the control log ended')));
  }

  async #start(onAnnouncement: (announcement: Announcement) => void): Promise<void> {
    await this.#inTime(this.#client.connect());
    await this.#inTime(
      this.#client.subscribe(CONTROL_KEYS.channel, (text) => {
        try {
          const { epoch, position, message } = AnnouncementText.parse(JSON.parse(text));
          onAnnouncement({ epoch, seq: position, message });
        } catch (error) {
          this.abandon(new Error(`announcement ${text} on the control log is malformed`, { cause: error }));
        }
      }),
    );
  }

  /** Name and head of the log, which is created when there is none. */
  async head(): Promise<{ readonly epoch: string; readonly head: number }> {
    const reply = await this.#inTime(this.#client.eval(ENSURE_LOG_SCRIPT, ensureArguments()));
    const [epoch, head] = EnsureReply.parse(reply);
    return { epoch, head };
  }

  /** Messages from `seq` on, as many as one page holds, read in one atomic step with the log's name and head. */
  async read(seq: number): Promise<LogPage> {
    const reply = await this.#inTime(
      this.#client
        .multi()
        .eval(ENSURE_LOG_SCRIPT, ensureArguments())
        .addCommand(['XRANGE', CONTROL_KEYS.stream, `${seq}-0`, '+', 'COUNT', `${PAGE_LENGTH}`])
        .exec(),
    );
    const [[epoch, head], stream] = PageReply.parse(reply);
    return { epoch, head, entries: stream.map(([id, [, message]]) => ({ seq: Number.parseInt(id, 10), message })) };
  }

  /** Appends a message and announces it, once however often it is tried; resolves with where it stands. */
  async append(message: ControlMessage): Promise<Position> {
    const { epoch: name, head, stream, seen, channel } = CONTROL_KEYS;
    const values = [randomUUID(), message.id, JSON.stringify(message), `${CONTROL_LOG_LENGTH}`, channel];
    const reply = await this.#inTime(
      this.#client.eval(APPEND_SCRIPT, { keys: [name, head, stream, seen], arguments: values }),
    );
    const [epoch, seq] = AppendReply.parse(reply);
    return { epoch, seq };
  }

  /** Ends the log `epoch`, whose positions no longer mean what they meant, and starts another. */
  async replace(epoch: string): Promise<void> {
    const { epoch: name, head, stream, seen } = CONTROL_KEYS;
    await this.#inTime(
      this.#client.eval(REPLACE_LOG_SCRIPT, { keys: [name, head, stream, seen], arguments: [epoch, randomUUID()] }),
    );
  }

  /** Stores a task's report, dated by Redis's clock, and removes those of tasks that are gone. */
  async report(taskId: string, report: object): Promise<void> {
    const values = [taskId, JSON.stringify(report), `${TASK_LIVENESS_MS}`];
    await this.#inTime(this.#client.eval(REPORT_SCRIPT, { keys: [CONTROL_KEYS.tasks], arguments: values }));
  }

  /** Removes a task's report: it is no longer live. */
  async withdraw(taskId: string): Promise<void> {
    await this.#inTime(this.#client.hDel(CONTROL_KEYS.tasks, taskId));
  }

  /** Makes `lost` reject with this reason. */
  abandon(reason: Error): void {
    this.#giveUp(reason);
  }

  close(): void {
    clearInterval(this.#renewal);
    this.#giveUp(new Error('the connection to the control log was closed'));
    if (this.#client.isOpen) this.#client.destroy();
  }

  #inTime<T>(reply: Promise<T>): Promise<T> {
    return withinDeadline('the control log', reply, this.#replyDeadlineMs);
  }
}

function ensureArguments(): { keys: string[]; arguments: string[] } {
  const { epoch, head, stream, seen } = CONTROL_KEYS;
  return { keys: [epoch, head, stream, seen], arguments: [randomUUID()] };
}
