import { z } from 'zod';
import type { ElastiCacheIam } from '../lib/core/elasticache-token';

const name = (meaning: string) => z.string({ error: `must be ${meaning}` }).min(1, { error: `must be ${meaning}` });

/** How a function reaches the region's Valkey: the variables of the edge service (`containers/edge/config.ts`). */
export const RedisVariables = z.object({
  REDIS_URL: z.url({ protocol: /^rediss?$/, error: 'must be a redis:// or rediss:// URL' }),
  REDIS_IAM_USER: name('the id of an ElastiCache user').optional(),
  REDIS_IAM_CACHE_NAME: name('the id of a replication group').optional(),
  /** Set by Lambda. */
  AWS_REGION: name('the AWS region').optional(),
});

/**
 * The IAM login that the variables ask for; `undefined` where the URL says it all.
 * @throws when they are not complete, or the URL has no TLS.
 */
export function redisIam(variables: z.output<typeof RedisVariables>): ElastiCacheIam | undefined {
  const { REDIS_IAM_USER: userId, REDIS_IAM_CACHE_NAME: cacheName, AWS_REGION: region, REDIS_URL: url } = variables;
  if (userId === undefined && cacheName === undefined) return undefined;
  if (userId === undefined || cacheName === undefined || region === undefined) {
    throw new Error('environment: REDIS_IAM_USER, REDIS_IAM_CACHE_NAME and AWS_REGION must be set together');
  }
  if (!url.startsWith('rediss://')) {
    throw new Error(`environment: REDIS_URL must start with rediss:// with REDIS_IAM_USER, got ${JSON.stringify(url)}`);
  }
  return { userId, cacheName, region };
}

/**
 * Reads a function's environment variables.
 * @throws naming each faulty variable and what it must be.
 */
export function readEnvironment<T extends z.ZodType>(schema: T, variables: NodeJS.ProcessEnv): z.output<T> {
  const result = schema.safeParse(variables);
  if (result.success) return result.data;
  const faults = result.error.issues.map((issue) => {
    const name = issue.path.join('.');
    return `${name} ${issue.message}, got ${JSON.stringify(variables[name]) ?? 'nothing'}`;
  });
  throw new Error(`environment: ${faults.join('; ')}`);
}
