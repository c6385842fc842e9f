import { z } from 'zod';
import { type RegionStatus, StatusRequest } from '../../lib/core/task-report';
import { RedisVariables, readEnvironment, redisIam } from '../environment';
import { SharedRedis } from '../redis-connection';
import { regionStatus } from './region-status';

const { REGION, ...variables } = readEnvironment(
  RedisVariables.extend({ REGION: z.string({ error: 'must name the AWS region' }).min(1) }),
  process.env,
);
const redis = new SharedRedis(variables.REDIS_URL, redisIam(variables));

/**
 * Answers a `StatusRequest` with the region's `RegionStatus`.
 * @throws when the request is malformed or Valkey cannot be reached.
 */
export async function handler(event: unknown): Promise<RegionStatus> {
  const request = StatusRequest.safeParse(event);
  if (!request.success) throw new Error(`not a status request: ${z.prettifyError(request.error)}`);
  return regionStatus(await redis.connection(), REGION, request.data);
}
