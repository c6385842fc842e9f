import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { CONTROL_KEYS, ENSURE_LOG_SCRIPT, TASK_LIVENESS_MS } from '../../lib/core/control-log';
import { type RegionStatus, type StatusRequest, TaskReport } from '../../lib/core/task-report';
import type { RedisConnection } from '../redis-connection';

const EnsureReply = z.tuple([z.string(), z.coerce.number().int().min(0)]);

/** Reply of TIME: seconds since 1970, and microseconds within the second. */
const ServerTime = z.tuple([z.coerce.number(), z.coerce.number()]);

/** A task's report as the task wrote it, `at` being the server's time in ms. */
const StoredReport = z.object({ at: z.number(), report: TaskReport });

/** What a region's tasks say of themselves now, and where the asked-for messages stand in its log. */
export async function regionStatus(
  redis: RedisConnection,
  region: string,
  request: StatusRequest,
): Promise<RegionStatus> {
  const [epoch, head] = EnsureReply.parse(
    await redis.eval(ENSURE_LOG_SCRIPT, {
      keys: [CONTROL_KEYS.epoch, CONTROL_KEYS.head, CONTROL_KEYS.stream, CONTROL_KEYS.seen],
      arguments: [randomUUID()],
    }),
  );
  return {
    region,
    epoch,
    head,
    tasks: await liveTasks(redis),
    positions: await positionsOf(redis, request.messageIds),
  };
}

/** Reports of the tasks that have been heard of lately, by the server's clock; the clocks of the tasks take no part. */
async function liveTasks(redis: RedisConnection): Promise<TaskReport[]> {
  const [seconds, microseconds] = ServerTime.parse(await redis.time());
  const now = seconds * 1000 + microseconds / 1000;
  const stored = await redis.hGetAll(CONTROL_KEYS.tasks);
  return Object.values(stored)
    .map((text) => StoredReport.parse(JSON.parse(text)))
    .filter(({ at }) => now - at <= TASK_LIVENESS_MS)
    .map(({ report }) => report)
    .sort((a, b) => (a.taskId < b.taskId ? -1 : 1));
}

async function positionsOf(redis: RedisConnection, messageIds: readonly string[]): Promise<Record<string, number>> {
  if (messageIds.length === 0) return {};
  const found = await redis.hmGet(CONTROL_KEYS.seen, [...messageIds]);
  const pairs = messageIds.map((id, index) => [id, found[index]] as const);
  return Object.fromEntries(pairs.flatMap(([id, position]) => (position ? [[id, Number(position)]] : [])));
}
