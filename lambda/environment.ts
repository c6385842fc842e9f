import { z } from 'zod';

/** URL of the region's Valkey. */
export const RedisUrl = z.url({ protocol: /^rediss?$/, error: 'must be a redis:// or rediss:// URL' });

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
