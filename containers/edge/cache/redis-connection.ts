import type { RedisClientOptions } from 'redis';

/** Settings that every connection to the region's Valkey shares. Throws when the URL is none. */
export function redisOptions(url: string): Pick<RedisClientOptions, 'url' | 'maintNotifications'> {
  const { protocol } = new URL(url);
  if (protocol !== 'redis:' && protocol !== 'rediss:') {
    throw new Error(`Redis URL ${url} has the scheme "${protocol}"; it must be redis:// or rediss:// (TLS)`);
  }
  // Maintenance notifications are Redis Enterprise's; ElastiCache has none.
  return { url, maintNotifications: 'disabled' };
}

/** Rejects when `reply` takes longer than `deadlineMs`; `who` names in the error what did not answer. */
export async function withinDeadline<T>(who: string, reply: Promise<T>, deadlineMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${who} did not answer within ${deadlineMs} ms`)), deadlineMs);
  });
  try {
    return await Promise.race([reply, tooLate]);
  } finally {
    clearTimeout(timer);
  }
}
