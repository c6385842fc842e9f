import { createClient, createCluster, RESP_TYPES } from 'redis';
import type { Logger } from '../control/types';
import { RELEASE_LEASE, SET_UNDER_LEASE } from './l1-scripts';
import { loginOf, type RedisAccess, type RedisOptions, redisOptions, renewLogin } from './redis-connection';

/** Settings of the link. Durations in ms. */
export interface L1LinkOptions extends RedisAccess {
  /** A link that is not ready for this long is opened anew. */
  readonly hungMs: number;
}

type NodeClient = ReturnType<typeof openNode>;
type ClusterClient = ReturnType<typeof openCluster>;

/**
 * The link to the region's Valkey, a node or a cluster: connects in the background, and by itself again. A connection
 * that cannot be relied upon any more is replaced, where the client itself would go on with it.
 */
export class L1Link {
  readonly #open: () => NodeClient | ClusterClient;
  readonly #log: Logger;
  readonly #watchdog: NodeJS.Timeout;
  readonly #renewal: NodeJS.Timeout | undefined;
  #current: NodeClient | ClusterClient;
  #isSick = false;
  #saidLost = false;

  /** Throws when the URL is none. */
  constructor(url: string, log: Logger, access: L1LinkOptions) {
    const options = redisOptions(url, loginOf(access));
    this.#log = log;
    this.#open = () => (access.cluster ? this.#listenToCluster(openCluster(options)) : this.#listen(openNode(options)));
    this.#current = this.#open();
    this.#watchdog = setInterval(() => this.#watch(), access.hungMs).unref();
    // When that fails, the server ends the connection, and the one after it logs in by itself.
    this.#renewal = renewLogin(
      options,
      () => this.primaries(),
      (error) => {
        log.warn({ err: error }, 'L1 login could not be renewed');
      },
    );
  }

  /** Sends commands, pipelined with those of the same turn of the event loop. */
  get commands(): NodeClient | ClusterClient {
    return this.#current;
  }

  /** Whether keys are spread over several nodes, so that no command may name keys of different slots. */
  get isCluster(): boolean {
    return 'masters' in this.#current;
  }

  /** Values of keys that one node has, in their order, by one command. Throws in a cluster. */
  async read(keys: string[]): Promise<readonly (Buffer | null)[]> {
    const client = this.#current;
    if ('masters' in client) throw new Error('keys of a cluster are read one by one');
    const [only] = keys;
    return keys.length === 1 && only !== undefined ? [await client.get(only)] : client.mGet(keys);
  }

  /** Whether commands are sent; otherwise they reject. */
  get isReady(): boolean {
    return this.#current.isReady;
  }

  /** A client of every node that takes writes. */
  async primaries(): Promise<NodeClient[]> {
    const client = this.#current;
    return 'masters' in client ? Promise.all(client.masters.map((node) => client.nodeClient(node))) : [client];
  }

  /** Ends the connection, with every command on it, and opens another. */
  replace(reason: Error): void {
    this.#lost(reason);
    this.#current.destroy();
    this.#current = this.#open();
  }

  close(): void {
    clearInterval(this.#watchdog);
    clearInterval(this.#renewal);
    this.#current.destroy();
  }

  #listen(client: NodeClient): NodeClient {
    client.on('error', (error: Error) => this.#failed(client, error, client.isReady));
    client.on('ready', () => this.#ready());
    // Connecting goes on by itself; the promise only rejects when the client is destroyed meanwhile.
    client.connect().catch(() => undefined);
    return client;
  }

  #listenToCluster(cluster: ClusterClient): ClusterClient {
    cluster.on('error', (error: Error) => this.#lost(error));
    cluster.on('node-error', (error: Error, { host, port }: { host: string; port: number }) => {
      const node = cluster.nodeByAddress.get(`${host}:${port}`);
      this.#failed(cluster, error, node?.client?.isReady ?? false);
    });
    cluster.on('node-ready', () => this.#ready());
    // When no node could be asked for the others, the watchdog tries again.
    cluster.connect().catch((error: Error) => this.#lost(error));
    return cluster;
  }

  /** An error on a connection that is still up is the decoder's: from here on replies may go to the wrong commands. */
  #failed(client: NodeClient | ClusterClient, error: Error, isUp: boolean): void {
    if (client !== this.#current) return;
    if (isUp) this.replace(error);
    else this.#lost(error);
  }

  #lost(error: Error): void {
    if (!this.#saidLost) this.#log.warn({ err: error }, 'L1 cache lost; going on without it until it is back');
    this.#saidLost = true;
  }

  #ready(): void {
    if (this.#saidLost) this.#log.info({}, 'L1 cache is back');
    this.#saidLost = false;
  }

  /** A handshake that is never answered, or a cluster of which no node could be found, ends only here. */
  #watch(): void {
    const wasSick = this.#isSick;
    this.#isSick = !this.isReady;
    if (this.#isSick && wasSick) this.replace(new Error('no connection to L1 for too long'));
  }
}

/** Unanswered commands beyond this are refused at once. */
const MAX_QUEUED_COMMANDS = 10_000;

// The client's own timeout makes an AbortSignal for every command, six times the cost of the command itself.
const COMMAND_OPTIONS = { timeout: 0, typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } };
const SCRIPTS = { setUnderLease: SET_UNDER_LEASE, releaseLease: RELEASE_LEASE };

function openNode(options: RedisOptions) {
  return createClient({
    ...options,
    scripts: SCRIPTS,
    commandOptions: COMMAND_OPTIONS,
    disableOfflineQueue: true,
    commandsQueueMaxLength: MAX_QUEUED_COMMANDS,
    socket: { reconnectStrategy },
  });
}

function openCluster({ url, ...options }: RedisOptions) {
  return createCluster({
    rootNodes: [{ url }],
    scripts: SCRIPTS,
    commandOptions: COMMAND_OPTIONS,
    defaults: {
      ...options,
      ...userOf(url),
      disableOfflineQueue: true,
      commandsQueueMaxLength: MAX_QUEUED_COMMANDS,
      socket: { ...(url.startsWith('rediss:') ? { tls: true } : {}), reconnectStrategy },
    },
  });
}

function reconnectStrategy(retries: number): number {
  return Math.min(2_000, 50 * 2 ** retries) * (0.5 + Math.random() / 2);
}

/** Connections to nodes that the root node names do not inherit the user of its URL. */
function userOf(url: string): { username?: string; password?: string } {
  const { username, password } = new URL(url);
  return {
    ...(username === '' ? {} : { username: decodeURIComponent(username) }),
    ...(password === '' ? {} : { password: decodeURIComponent(password) }),
  };
}
