import { createClient } from 'redis';
import { type ElastiCacheIam, elastiCacheToken, type SigningCredentials } from '../lib/core/elasticache-token';

export type RedisConnection = ReturnType<typeof openClient>;

/** A function that waits longer than this for Valkey had better fail and be tried again, ms. */
const CONNECT_TIMEOUT_MS = 3_000;

function openClient(url: string, iam: ElastiCacheIam | undefined) {
  const client = createClient({
    url,
    ...(iam && {
      credentialsProvider: {
        type: 'async-credentials-provider' as const,
        credentials: async () => ({
          username: iam.userId,
          password: await elastiCacheToken(iam, functionCredentials(), new Date()),
        }),
      },
    }),
    disableOfflineQueue: true,
    socket: { connectTimeout: CONNECT_TIMEOUT_MS, reconnectStrategy: false },
  });
  // Without a listener an error event would end the process; the command that meets the error reports it.
  client.on('error', () => undefined);
  return client;
}

/** The credentials that Lambda puts into the environment of a function. Throws naming what is missing. */
function functionCredentials(): SigningCredentials {
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN } = process.env;
  if (!AWS_ACCESS_KEY_ID || !AWS_SECRET_ACCESS_KEY) {
    throw new Error('AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY must be set to log in to Valkey by IAM');
  }
  return {
    accessKeyId: AWS_ACCESS_KEY_ID,
    secretAccessKey: AWS_SECRET_ACCESS_KEY,
    sessionToken: AWS_SESSION_TOKEN,
  };
}

/**
 * One connection per execution environment, opened at the first use and kept between invocations. An invocation that
 * finds it broken opens a new one, for a frozen environment outlives its connections.
 */
export class SharedRedis {
  private opening: Promise<RedisConnection> | undefined;

  /** With `iam`, logs in by a token of the function's own role; otherwise as the URL says. */
  constructor(
    private readonly url: string,
    private readonly iam?: ElastiCacheIam,
  ) {}

  /** The open connection. Rejects when Valkey cannot be reached. */
  async connection(): Promise<RedisConnection> {
    const current = await this.opening?.catch(() => undefined);
    if (current?.isReady) return current;
    this.opening = this.connect();
    return this.opening;
  }

  /** Ends the connection, if there is one. */
  async close(): Promise<void> {
    const current = await this.opening?.catch(() => undefined);
    this.opening = undefined;
    if (current?.isOpen) current.destroy();
  }

  private async connect(): Promise<RedisConnection> {
    const client = openClient(this.url, this.iam);
    await client.connect();
    return client;
  }
}
