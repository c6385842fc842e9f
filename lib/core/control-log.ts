/**
 * Layout of a region's control log in Valkey/Redis. One hash tag, so that in cluster mode every key lives in one slot
 * and the scripts stay atomic.
 */
export const CONTROL_KEYS = {
  /** Random name of this log's life; a new one means the log was lost. */
  epoch: '{mlcdn}:control:epoch',
  /** Position of the newest message in this epoch. */
  head: '{mlcdn}:control:head',
  /** Stream of messages; entry id `<position>-0`, field `m` = the message as JSON. */
  stream: '{mlcdn}:control:stream',
  /** Hash of message id -> position, for idempotence and receipts. */
  seen: '{mlcdn}:control:seen',
  /** Pub/sub channel on which each append is announced as JSON `{"epoch","position","message"}`. */
  channel: '{mlcdn}:control:announce',
  /** Hash of task id -> TaskReport as JSON, with `at` (Redis server time, ms) beside it. */
  tasks: '{mlcdn}:control:tasks',
} as const;

/** Messages kept for replay. A task that fell further behind than this drops its caches. */
export const CONTROL_LOG_LENGTH = 10_000;

/** A task whose report is older than this (Redis server time, ms) is no longer live. */
export const TASK_LIVENESS_MS = 5_000;

/** KEYS: epoch, head, stream, seen. ARGV[1]: candidate epoch. Leaves `epoch`, naming a new, empty log when there is none. */
const OPEN_LOG = `
local epoch = redis.call('GET', KEYS[1])
if not epoch then
  epoch = ARGV[1]
  redis.call('SET', KEYS[1], epoch)
  redis.call('SET', KEYS[2], '0')
  redis.call('DEL', KEYS[3], KEYS[4])
end
`;

/** KEYS: epoch, head, stream, seen. ARGV: candidate epoch. Returns `[epoch, head]`, creating the log when there is none. */
export const ENSURE_LOG_SCRIPT = `${OPEN_LOG}
return { epoch, redis.call('GET', KEYS[2]) or '0' }
`;

/**
 * KEYS: epoch, head, stream, seen. ARGV: candidate epoch, message id, message JSON, log length, channel.
 * Appends once per message id and announces the append in the same atomic step.
 * Returns `[epoch, position, appended 1|0]`.
 */
export const APPEND_SCRIPT = `${OPEN_LOG}
local known = redis.call('HGET', KEYS[4], ARGV[2])
if known then return { epoch, known, 0 } end
local position = redis.call('INCR', KEYS[2])
redis.call('XADD', KEYS[3], position .. '-0', 'm', ARGV[3])
redis.call('HSET', KEYS[4], ARGV[2], position)
local excess = redis.call('XLEN', KEYS[3]) - tonumber(ARGV[4])
if excess > 0 then
  for _, entry in ipairs(redis.call('XRANGE', KEYS[3], '-', '+', 'COUNT', excess)) do
    redis.call('HDEL', KEYS[4], cjson.decode(entry[2][2]).id)
  end
  redis.call('XTRIM', KEYS[3], 'MAXLEN', ARGV[4])
end
redis.call('PUBLISH', ARGV[5], cjson.encode({ epoch = epoch, position = position, message = ARGV[3] }))
return { epoch, tostring(position), 1 }
`;
