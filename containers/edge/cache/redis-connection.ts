import { createClient, type RedisClientOptions } from 'redis';
import type { ElastiCacheIam } from '../../../lib/core/elasticache-token';
import { type IamLogin, iamLogin, REAUTHENTICATE_MS } from './elasticache-iam';

/** How the region's Valkey is reached, besides its URL. */
export interface RedisAccess {
  /** The URL is the configuration endpoint of a cluster. A single node by default. */
  readonly cluster?: boolean;
  /** Authenticate by IAM; needs TLS. By default as the URL says. */
  readonly iam?: ElastiCacheIam | undefined;
}

/** Settings that every connection to the region's Valkey shares. */
export interface RedisOptions extends Pick<RedisClientOptions, 'maintNotifications'> {
  readonly url: string;
  readonly credentialsProvider?: { readonly type: 'async-credentials-provider'; readonly credentials: IamLogin };
}

/** Throws when the URL is none. With `login`, that is the user, whatever the URL says. */
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

/** A connection's part in `renewLogin`. */
interface Authenticates {
  auth(user: { username: string; password: string }): Promise<unknown>;
}

/** Logs connections in again before ElastiCache would end them. Returns the timer, or nothing where there is no need. */
export function renewLogin(
  { credentialsProvider }: RedisOptions,
  connections: () => readonly Authenticates[] | Promise<readonly Authenticates[]>,
  onError: (error: Error) => void,
): NodeJS.Timeout | undefined {
  if (credentialsProvider === undefined) return undefined;
  const renew = async () => {
    const user = await credentialsProvider.credentials();
    await Promise.all((await connections()).map((connection) => connection.auth(user)));
  };
  return setInterval(() => void renew().catch(onError), REAUTHENTICATE_MS).unref();
}

/** URL of the node that has `key` in a cluster of which `options` name one node. Rejects after `deadlineMs`. */
export async function ownerUrl(key: string, options: RedisOptions, deadlineMs: number): Promise<string> {
  const client = createClient({
    ...options,
    disableOfflineQueue: true,
    socket: { reconnectStrategy: false, connectTimeout: deadlineMs },
  });
  // The command that meets the error reports it.
  client.on('error', () => undefined);
  try {
    await withinDeadline('the cluster', client.connect(), deadlineMs);
    const answers = Promise.all([client.clusterKeySlot(key), client.clusterSlots()]);
    const [slot, ranges] = await withinDeadline('the cluster', answers, deadlineMs);
    const owner = ranges.find(({ from, to }) => from <= slot && slot <= to)?.master;
    if (owner === undefined) throw new Error(`no node of the cluster has slot ${slot}, that of ${key}`);
    const url = new URL(options.url);
    if (owner.host !== '') url.hostname = owner.host;
    url.port = `${owner.port}`;
    return url.href;
  } finally {
    client.destroy();
  }
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
