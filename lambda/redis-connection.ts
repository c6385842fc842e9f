import { createClient } from 'redis';

export type RedisConnection = ReturnType<typeof openClient>;

/** A function that waits longer than this for Valkey had better fail and be tried again, ms. */
const CONNECT_TIMEOUT_MS = 3_000;

function openClient(url: string) {
  const client = createClient({
    url,
    disableOfflineQueue: true,
    socket: { connectTimeout: CONNECT_TIMEOUT_MS, reconnectStrategy: false },
  });
  // Without a listener an error event would end the process; the command that meets the error reports it.
  client.on('error', () => undefined);
  return client;
}

/**
 * One connection per execution environment, opened at the first use and kept between invocations. An invocation that
 * finds it broken opens a new one, for a frozen environment outlives its connections.
 */
export class SharedRedis {
  private opening: Promise<RedisConnection> | undefined;

  constructor(private readonly url: string) {}

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
    const client = openClient(this.url);
    await client.connect();
    return client;
  }
}
