import type { RedisClientOptions } from 'redis';
import type { ElastiCacheIam } from '../../../lib/core/elasticache-token';
import { type IamLogin, iamLogin } from './elasticache-iam';

/** How the region's Valkey is reached, besides its URL. */
export interface RedisAccess {
  /** The URL is the configuration endpoint of a cluster. A single node by default. */
  readonly cluster?: boolean;
  /** Authenticate by IAM; needs TLS. By default as the URL says. */
  readonly iam?: ElastiCacheIam | undefined;
}

/** Settings that every connection to the region's Valkey shares. */
export interface RedisOptions extends Pick<RedisClientOptions, 'url' | 'maintNotifications' | 'credentialsProvider'> {
  readonly url: string;
}

/** Throws when the URL is none, or is not for TLS although IAM needs it. */
export function redisOptions(url: string, login?: IamLogin): RedisOptions {
  const { protocol } = new URL(url);
  if (protocol !== 'redis:' && protocol !== 'rediss:') {
    throw new Error(`Redis URL ${url} has the scheme "${protocol}"; it must be redis:// or rediss:// (TLS)`);
  }
  // Maintenance notifications are Redis Enterprise's; ElastiCache has none.
  const options: RedisOptions = { url, maintNotifications: 'disabled' };
  // Asked at every (re)connect, for a token lives only minutes.
  return login
    ? { ...options, credentialsProvider: { type: 'async-credentials-provider', credentials: login } }
    : options;
}

/** The login that `access` asks for, or `undefined` when the URL says it all. */
export function loginOf({ iam }: RedisAccess): IamLogin | undefined {
  return iam && iamLogin(iam);
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
